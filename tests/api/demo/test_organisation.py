"""The organisations that the demo loads: who is in them, and that they are always the same."""

from collections import Counter

import pytest

from api.demo.edits import ROUNDS, script
from api.demo.organisation import Organisation, generated, planet_express


def test_planet_express_is_seven_people_in_two_groups() -> None:
    organisation = planet_express()
    names = [each["displayName"] for each in organisation.users]
    assert names == [
        "Philip J. Fry",
        "Turanga Leela",
        "Bender Rodriguez",
        "Amy Wong",
        "Hermes Conrad",
        "Hubert Farnsworth",
        "John Zoidberg",
    ]
    assert [each.display_name for each in organisation.groups] == ["Ship Crew", "Admin Staff"]


@pytest.mark.parametrize("organisation", [planet_express(), generated(2_000, 50)], ids=["planet_express", "generated"])
def test_nobody_is_there_twice_and_every_member_is_somebody(organisation: Organisation) -> None:
    names = Counter(each["userName"] for each in organisation.users)
    assert names.most_common(1)[0][1] == 1
    assert len({each["externalId"] for each in organisation.users}) == len(organisation.users)
    assert len({each.display_name for each in organisation.groups}) == len(organisation.groups)
    for group in organisation.groups:
        assert set(group.members) <= names.keys()
        assert len(set(group.members)) == len(group.members)


def test_a_generated_organisation_is_the_same_each_time() -> None:
    assert generated(300, 7) == generated(300, 7)
    assert generated(300, 7, seed=1) != generated(300, 7, seed=2)


def test_everybody_generated_is_in_a_group() -> None:
    organisation = generated(500, 12)
    assert {member for group in organisation.groups for member in group.members} == {
        each["userName"] for each in organisation.users
    }


def test_the_script_is_two_hundred_edits_by_three_actors() -> None:
    edits = list(script())
    assert len(edits) == 200
    assert Counter(each.who for each in edits) == {
        "directory": 7 * ROUNDS,
        "hermes": 7 * ROUNDS,
        "operator": 6 * ROUNDS,
    }
    assert edits == list(script())
