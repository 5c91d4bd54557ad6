"""botocore's own API models against the copies that the server is checked with."""

import botocore.session
import model
import pytest

SESSION = botocore.session.get_session()
SERVICES = ["cognito-sync", "cognito-identity"]
# What a shape says about the wire; documentation and hints for code generators are left out.
SAID = ("type", "required", "min", "max", "pattern", "enum", "location", "locationName", "flattened",
        "timestampFormat", "payload", "exception")


def of_botocore(service):
    return SESSION.get_component("data_loader").load_service_model(service, "service-2")


def said(reference):
    return {name: reference[name] for name in SAID if name in reference}


def walk(loaded, name, seen=()):
    """A shape with everything below it, as plain data."""
    shape = loaded["shapes"][name]
    found = said(shape)
    if name in seen:
        return found
    seen = (*seen, name)
    for member, reference in shape.get("members", {}).items():
        found[f"member {member}"] = said(reference) | walk(loaded, reference["shape"], seen)
    for part in ("member", "key", "value"):
        if part in shape:
            found[part] = walk(loaded, shape[part]["shape"], seen)
    return found


def status(loaded, error):
    return loaded["shapes"][error].get("error", {}).get("httpStatusCode")


@pytest.mark.parametrize("service", SERVICES)
def test_the_operations_are_the_same(service):
    theirs, ours = of_botocore(service), model.LOADED[service]
    assert set(theirs["operations"]) == set(ours["operations"])
    for key in ("apiVersion", "endpointPrefix", "protocol", "jsonVersion", "targetPrefix"):
        assert theirs["metadata"].get(key) == ours["metadata"].get(key)


def cases():
    return [(service, operation) for service in SERVICES
            for operation in model.LOADED[service]["operations"]]


@pytest.mark.parametrize("service, operation", cases())
def test_an_operation_looks_the_same_to_botocore(service, operation):
    loaded, ours = of_botocore(service), model.LOADED[service]
    mine, botocores = ours["operations"][operation], loaded["operations"][operation]
    http = botocores["http"]
    assert mine["http"]["method"] == http["method"]
    assert mine["http"]["requestUri"] == http["requestUri"]
    assert mine["http"].get("responseCode", 200) == http.get("responseCode", 200)
    assert mine.get("authtype") == botocores.get("authtype")
    for side in ("input", "output"):
        assert (side in mine) == (side in botocores)
        if side in mine:
            assert walk(ours, mine[side]["shape"]) == walk(loaded, botocores[side]["shape"])
    errors = {error["shape"] for error in botocores["errors"]}
    assert {error["shape"] for error in mine["errors"]} == errors
    for error in errors:
        assert status(ours, error) == status(loaded, error), error
