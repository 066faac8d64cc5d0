"""scim2-models evaluates filters slowly and independently: whatever it says of a resource, we say too."""

from typing import Any

import scim2_models
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.scim.filters import parse
from adapters.scim.matching import matches
from adapters.scim.schema import ENTERPRISE, USER

Model = scim2_models.User[scim2_models.EnterpriseUser]

WORDS = ["a", "B", "ab", "Work", "work", "é", "a b", ""]
TEXTS = ["userName", "title", "name.familyName", "externalId", "emails.type", "roles.value", f"{ENTERPRISE}:department"]

comparisons = st.builds(
    "{} {} {}".format,
    st.sampled_from(TEXTS),
    st.sampled_from(["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"]),
    st.sampled_from([f'"{word}"' for word in WORDS]),
)
presences = st.builds("{} pr".format, st.sampled_from([*TEXTS, "emails", "name", "active"]))
flags = st.builds("active {} {}".format, st.sampled_from(["eq", "ne"]), st.sampled_from(["true", "false", "null"]))
inner = st.builds(
    "{} {} {}".format,
    st.sampled_from(["type", "value", "display"]),
    st.sampled_from(["eq", "ne", "co", "sw"]),
    st.sampled_from([f'"{word}"' for word in WORDS]),
)
selections = st.builds("roles[{}{}{}]".format, inner, st.sampled_from([" and ", " or "]), inner)
filters = st.recursive(
    comparisons | presences | flags | selections,
    lambda deeper: st.one_of(
        st.builds("({} and {})".format, deeper, deeper),
        st.builds("{} or {}".format, deeper, deeper),
        st.builds("not ({})".format, deeper),
    ),
    max_leaves=6,
)

words = st.sampled_from([word for word in WORDS if word])
entry = st.fixed_dictionaries({"value": words}, optional={"type": words, "display": words})
resources = st.fixed_dictionaries(
    {"schemas": st.just([USER.urn, ENTERPRISE]), "userName": words},
    optional={
        "title": words,
        "externalId": words,
        "active": st.booleans(),
        "name": st.fixed_dictionaries({"familyName": words}),
        "emails": st.lists(st.fixed_dictionaries({"type": words}), min_size=1, max_size=3),
        "roles": st.lists(entry, min_size=1, max_size=3),
        ENTERPRISE: st.fixed_dictionaries({"department": words}),
    },
)


@settings(max_examples=300, deadline=None)
@given(text=filters, resource=resources)
def test_we_agree_with_the_reference(text: str, resource: dict[str, Any]) -> None:
    expected = scim2_models.ScimFilter[Model](text).match(Model.model_validate(resource))
    assert matches(parse(text, USER), resource) is expected
