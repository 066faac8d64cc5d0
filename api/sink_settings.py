"""What sinks are set to, by target: settings that anybody may see who reads sinks, and secrets that nobody is shown."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import Field, StringConstraints, ValidationError

from api.bodies import Body
from api.http import problems
from api.http.field_errors import field_errors

Url = Annotated[str, StringConstraints(min_length=1, max_length=2000)]
Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:/-]{0,199}$")]
Host = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9.:-]{0,252}$")]
Bucket = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$")]
Prefix = Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9_=-][A-Za-z0-9_.=-]*/)*$", max_length=300)]
Token = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,2000}$")]
Header = Annotated[str, StringConstraints(pattern=r"^[!-~]([ -~]{0,3998}[!-~])?$")]
Pem = Annotated[str, StringConstraints(pattern=r"^-----BEGIN [A-Z ]{1,40}-----", max_length=50_000)]
Tag = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_:./-]{0,199}$")]
Events = Annotated[int, Field(ge=1, le=1000)]
Seconds = Annotated[int, Field(ge=1, le=3600)]
Directory = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]{0,99}$")]


class SplunkSettings(Body):
    url: Url
    """Of the collector: `https://…:8088`."""
    index: Word | None = None
    source: Word = "muniment"
    sourcetype: Word = "muniment:event"
    host: Host | None = None


class SplunkSecrets(Body):
    token: Token


class DatadogSettings(Body):
    site: Literal[
        "datadoghq.com",
        "us3.datadoghq.com",
        "us5.datadoghq.com",
        "datadoghq.eu",
        "ap1.datadoghq.com",
        "ap2.datadoghq.com",
        "ddog-gov.com",
    ] = "datadoghq.com"
    url: Url | None = None
    """Instead of a site: a proxy, or an intake of its own."""
    service: Word = "muniment"
    tags: Annotated[list[Tag], Field(max_length=50)] = Field(default_factory=list)


class DatadogSecrets(Body):
    api_key: Token


class S3Settings(Body):
    bucket: Bucket
    region: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{2,40}$")]
    access_key_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,128}$")]
    prefix: Prefix = ""
    endpoint: Url | None = None
    """Of another storage that speaks S3."""
    gzip: bool = True
    seconds: Seconds = 60
    """How long an object waits for more events."""
    most_events: Events = 1000


class S3Secrets(Body):
    secret_access_key: Token


class GcsSettings(Body):
    bucket: Bucket
    account: Annotated[str, StringConstraints(pattern=r"^[!-~]{3,254}$")]
    """`client_email` of the service account's key file."""
    prefix: Prefix = ""
    endpoint: Url = "https://storage.googleapis.com"
    token_url: Url = "https://oauth2.googleapis.com/token"  # noqa: S105
    gzip: bool = True
    seconds: Seconds = 60
    most_events: Events = 1000


class GcsSecrets(Body):
    private_key: Pem
    """`private_key` of the service account's key file."""


class AzureSettings(Body):
    endpoint: Url
    """Of data collection: `https://….ingest.monitor.azure.com`."""
    rule: Annotated[str, StringConstraints(pattern=r"^dcr-[0-9a-f]{32}$")]
    """The immutable id of the data collection rule."""
    stream: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,100}$")]
    directory: Directory
    """The id of the Entra tenant, or its domain."""
    client_id: Directory
    authority: Url = "https://login.microsoftonline.com"
    scope: Annotated[str, StringConstraints(pattern=r"^[!-~]{1,300}$")] = "https://monitor.azure.com/.default"


class AzureSecrets(Body):
    client_secret: Token


class HttpsSettings(Body):
    url: Url
    body: Literal["batch", "ndjson"] = "batch"
    most_events: Events = 100


class HttpsSecrets(Body):
    """Either, both or none."""

    authorization: Header | None = None
    """The whole value of the `Authorization` header."""
    signing_secret: Annotated[str, StringConstraints(pattern=r"^whsec_[A-Za-z0-9+/]{32,88}={0,2}$")] | None = None


class SyslogSettings(Body):
    host: Host
    port: Annotated[int, Field(ge=1, le=65_535)] = 6514
    facility: Annotated[int, Field(ge=0, le=23)] = 13
    app_name: Annotated[str, StringConstraints(pattern=r"^[!-~]{1,48}$")] = "muniment"
    host_name: Annotated[str, StringConstraints(pattern=r"^[!-~]{1,255}$")] = "-"
    ca: Pem | None = None
    """The authority that the receiver's certificate is from, if it is not a public one."""


class SyslogSecrets(Body):
    """A certificate to be known by, if the receiver asks for one."""

    client_certificate: Pem | None = None
    client_key: Pem | None = None


SETTINGS: Final[Mapping[str, type[Body]]] = {
    "splunk": SplunkSettings,
    "datadog": DatadogSettings,
    "s3": S3Settings,
    "gcs": GcsSettings,
    "azure": AzureSettings,
    "https": HttpsSettings,
    "syslog": SyslogSettings,
}
SECRETS: Final[Mapping[str, type[Body]]] = {
    "splunk": SplunkSecrets,
    "datadog": DatadogSecrets,
    "s3": S3Secrets,
    "gcs": GcsSecrets,
    "azure": AzureSecrets,
    "https": HttpsSecrets,
    "syslog": SyslogSecrets,
}
ADDRESSES: Final = frozenset(
    {
        "url",
        "site",
        "endpoint",
        "bucket",
        "region",
        "authority",
        "directory",
        "token_url",
        "host",
        "port",
        "ca",
        "scope",
    }
)
"""Settings that say where secrets are sent: a new place needs them anew, so that nobody can send them to himself."""


def checked(known: Mapping[str, type[Body]], target: str, part: str, said: dict[str, Any], app: FastAPI) -> Body:
    """What is said of a target, as its model. Raises Problem 422, with each place that is wrong."""
    try:
        return known[target].model_validate(said)
    except ValidationError as invalid:
        errors, _ = field_errors(RequestValidationError(invalid.errors()), app)
        told = "; ".join(f"{part}/{each.location}: {each.message}" for each in errors[:5])
        raise problems.unprocessable(told) from None
