"""What every Kafka client promises; a test class for each inherits this."""

from tests.adapters.kafka.asking_contract import AskingContract
from tests.adapters.kafka.reading_contract import ReadingContract
from tests.adapters.kafka.writing_contract import WritingContract


class ClientContract(WritingContract, ReadingContract, AskingContract):
    """Inherit, and give the fixture `using`: a client of those servers."""
