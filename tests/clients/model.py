"""The API models, and the check of every answer against them."""

import json
import pathlib

MODELS = pathlib.Path(__file__).resolve().parents[1] / "models"
LOADED = {
    service: json.loads((MODELS / f"{service}.json").read_text())
    for service in ("cognito-sync", "cognito-identity")
}
# Errors that any signed operation may answer; the models do not list them.
COMMON_ERRORS = {
    "AccessDeniedException",
    "BadRequestException",
    "ExpiredTokenException",
    "IncompleteSignatureException",
    "InvalidSignatureException",
    "MissingAuthenticationTokenException",
    "SerializationException",
    "UnrecognizedClientException",
}
# Errors of ours that the models do not list, by operation.
OWN_ERRORS = {
    # Only where the operator limits the identities of a pool; GetId has it in the model.
    "GetOpenIdTokenForDeveloperIdentity": {"LimitExceededException"},
    # Where winner and loser together have more logins than an identity may have.
    "MergeDeveloperIdentities": {"LimitExceededException"},
    # The guide and older models have it; that of botocore has lost it.
    "UpdateRecords": {"LambdaSocketTimeoutException"},
}
# Members that clients read without looking whether they are there.
ALWAYS = {
    "ListRecordsResponse": {
        "Records",
        "Count",
        "DatasetSyncCount",
        "DatasetExists",
        "DatasetDeletedAfterRequestedSyncCount",
        "SyncSessionToken",
    },
    "UpdateRecordsResponse": {"Records"},
    "ListDatasetsResponse": {"Datasets", "Count"},
    "Dataset": {
        "IdentityId",
        "DatasetName",
        "CreationDate",
        "LastModifiedDate",
        "DataStorage",
        "NumRecords",
    },
    "Record": {"Key", "SyncCount", "LastModifiedDate"},
    "DescribeDatasetResponse": {"Dataset"},
    "DeleteDatasetResponse": {"Dataset"},
    "DescribeIdentityUsageResponse": {"IdentityUsage"},
    "IdentityUsage": {
        "IdentityId",
        "IdentityPoolId",
        "LastModifiedDate",
        "DatasetCount",
        "DataStorage",
    },
    "DescribeIdentityPoolUsageResponse": {"IdentityPoolUsage"},
    "IdentityPoolUsage": {
        "IdentityPoolId",
        "SyncSessionsCount",
        "DataStorage",
        "LastModifiedDate",
    },
    "ListIdentityPoolUsageResponse": {"IdentityPoolUsages", "MaxResults", "Count"},
    "IdentityPool": {"IdentityPoolId", "IdentityPoolName", "AllowUnauthenticatedIdentities"},
    "ListIdentityPoolsResponse": {"IdentityPools"},
    "GetIdResponse": {"IdentityId"},
    "GetCredentialsForIdentityResponse": {"IdentityId", "Credentials"},
    "Credentials": {"AccessKeyId", "SecretKey", "SessionToken", "Expiration"},
    "GetOpenIdTokenResponse": {"IdentityId", "Token"},
    "GetOpenIdTokenForDeveloperIdentityResponse": {"IdentityId", "Token"},
}


def check_success(service, operation, body):
    """Every member is one of the model, of its type, and what must be there is there."""
    model = LOADED[service]
    shape = model["operations"][operation].get("output")
    if shape is not None:
        _check(model, shape["shape"], json.loads(body), operation)


def check_error(service, operation, status, headers, body):
    """The name is one that the operation may answer, the same in header and body."""
    model = LOADED[service]
    name = headers["x-amzn-errortype"].split(":")[0]
    parsed = json.loads(body)
    assert parsed["__type"] == name
    assert parsed["message"] == parsed["Message"]
    modelled = {error["shape"] for error in model["operations"][operation].get("errors", [])}
    known = modelled | COMMON_ERRORS | OWN_ERRORS.get(operation, set())
    assert name in known, f"{operation} answered {status} {name}"


def _check(model, name, value, at):
    shape = model["shapes"][name]
    kind = shape["type"]
    if kind == "structure":
        assert isinstance(value, dict), at
        members = shape["members"]
        assert set(value) <= set(members), f"{at}: {set(value) - set(members)} not in the model"
        missing = (ALWAYS.get(name, set()) | set(shape.get("required", []))) - set(value)
        assert not missing, f"{at}: {missing} must be there"
        for member, inner in value.items():
            assert inner is not None, f"{at}.{member} is null"
            _check(model, members[member]["shape"], inner, f"{at}.{member}")
    elif kind == "list":
        assert isinstance(value, list), at
        for number, inner in enumerate(value):
            _check(model, shape["member"]["shape"], inner, f"{at}[{number}]")
    elif kind == "map":
        assert isinstance(value, dict), at
        for key, inner in value.items():
            _check(model, shape["value"]["shape"], inner, f"{at}[{key}]")
    else:
        python = {
            "string": str,
            "integer": int,
            "long": int,
            "boolean": bool,
            "timestamp": (int, float),
        }[kind]
        right = isinstance(value, python) and (kind == "boolean" or not isinstance(value, bool))
        assert right, f"{at} is {value!r}, not a {kind}"
