"""What is asked for when a sink is made: by target, what it is set to and what is sent there."""

from typing import Annotated, Literal

from fastapi import Body as FastApiBody
from pydantic import Field

from api.bodies import Body, ShortText
from api.sink_settings import (
    AzureSecrets,
    AzureSettings,
    DatadogSecrets,
    DatadogSettings,
    GcsSecrets,
    GcsSettings,
    HttpsSecrets,
    HttpsSettings,
    S3Secrets,
    S3Settings,
    SplunkSecrets,
    SplunkSettings,
    SyslogSecrets,
    SyslogSettings,
)

EventType = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9:_.-]{0,120}$")]
Types = Annotated[list[EventType], Field(max_length=100)]
Patience = Annotated[int, Field(ge=0, le=7 * 86_400)]
Format = Literal["cloudevents", "ocsf"]


class _NewSink(Body):
    """Without `types` it is sent everything; `action:invoice.approved` names a product's action.

    `from_position` begins in the past; without it, with what comes now.
    """

    types: Types = Field(default_factory=list)
    name: ShortText | None = None
    format: Format = "cloudevents"
    unsealed: bool = False
    """Whether it is sent personal values; without it they are null, and named in `sealed`."""
    patience_seconds: Patience = 3600
    """How long an event that the target refuses is tried before it is dead-lettered; what it can't take now waits."""
    from_position: Annotated[int, Field(ge=1, le=2**53)] | None = None


class NewSplunkSink(_NewSink):
    target: Literal["splunk"]
    settings: SplunkSettings
    secrets: SplunkSecrets


class NewDatadogSink(_NewSink):
    target: Literal["datadog"]
    settings: DatadogSettings
    secrets: DatadogSecrets


class NewS3Sink(_NewSink):
    target: Literal["s3"]
    settings: S3Settings
    secrets: S3Secrets


class NewGcsSink(_NewSink):
    target: Literal["gcs"]
    settings: GcsSettings
    secrets: GcsSecrets


class NewAzureSink(_NewSink):
    target: Literal["azure"]
    settings: AzureSettings
    secrets: AzureSecrets


class NewHttpsSink(_NewSink):
    target: Literal["https"]
    settings: HttpsSettings
    secrets: HttpsSecrets = Field(default_factory=HttpsSecrets)


class NewSyslogSink(_NewSink):
    target: Literal["syslog"]
    settings: SyslogSettings
    secrets: SyslogSecrets = Field(default_factory=SyslogSecrets)


NewSink = Annotated[
    NewSplunkSink | NewDatadogSink | NewS3Sink | NewGcsSink | NewAzureSink | NewHttpsSink | NewSyslogSink,
    FastApiBody(discriminator="target"),
]
