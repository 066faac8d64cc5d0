from tests.adapters.kafka.test_migrating import *
from tests.adapters.index.logs import SOMEBODY, HERE
async def test_key_after_erasure(kafka, tmp_path):
    prefix = fresh_prefix()
    async with running(options(kafka.servers, prefix, tmp_path / "a")) as log:
        keys = NewKeys(); sealed = log.keyring.seal(keys, HERE, SOMEBODY, "name", "X")
        await log.owner.execute(work(note(sealed.key.encode()), keys=keys))
        await log.owner.execute(work(SubjectErased(SOMEBODY, ())))
        keys = NewKeys(); sealed = log.keyring.seal(keys, HERE, SOMEBODY, "name", "X")
        await log.owner.execute(work(note(sealed.key.encode()), keys=keys))
        print("owner", log.keyring.unseal(HERE, "name", sealed))
    async with running(options(kafka.servers, prefix, tmp_path / "b"), join=False) as log:
        print("rebuilt", log.keyring.unseal(HERE, "name", sealed))
async def test_key_after_erasure_migrated(kafka, tmp_path):
    prefix = fresh_prefix()
    async with embedded.running(folder_of(tmp_path / "s")) as log:
        keys = NewKeys(); sealed = log.keyring.seal(keys, HERE, SOMEBODY, "name", "X")
        await log.sequencer.execute(work(note(sealed.key.encode()), keys=keys))
        await log.sequencer.execute(work(SubjectErased(SOMEBODY, ())))
        keys = NewKeys(); sealed = log.keyring.seal(keys, HERE, SOMEBODY, "name", "X")
        await log.sequencer.execute(work(note(sealed.key.encode()), keys=keys))
        print("embedded", log.keyring.unseal(HERE, "name", sealed))
    print(await migrate(tmp_path / "s", options(kafka.servers, prefix, tmp_path / "a")))
    for n in "ab":
        async with running(options(kafka.servers, prefix, tmp_path / n), join=False) as log:
            print(n, log.keyring.unseal(HERE, "name", sealed))
