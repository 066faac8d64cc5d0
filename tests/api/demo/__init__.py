"""The demo's organisations and its script."""
