"""`python -m tests.evidence_vectors`: bundles of today's format that are missing; never change one that is there."""

from domain.evidence.completeness import Range
from tests.domain.evidence.deployment import small
from tests.evidence_vectors import FOLDER


def main() -> None:
    deployment, history, head, index = small()
    events, answer = history.answer("user:a", Range("position", 10, 30))
    files = {
        "bundle.muniment.json": deployment.bundle(head, index, [history.proof(position) for position in (1, 7, 40)]),
        "complete.muniment.json": deployment.bundle(head, index, events, answer),
        "bundle.vkey": f"{deployment.signer.key.text}\n{deployment.witness.key.text}\n".encode(),
    }
    for name, data in files.items():
        if not (FOLDER / name).exists():
            (FOLDER / name).write_bytes(data)


if __name__ == "__main__":
    main()
