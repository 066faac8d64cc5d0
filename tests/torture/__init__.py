"""The torture run: nodes, brokers and links are broken under load, and a checker proves from the topic what held."""
