from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from pydantic import SecretStr

from schemas import Bounds
from tests.unit.cli.called import taskedit
from tests.unit.settings.builders import (
    CREDENTIALS,
    accounts_file,
    environ,
    loaded,
    named,
    problems,
)
from worker.account import Account, Endpoint
from worker.core.judge import Policy
from worker.core.rate_limit import Rate
from worker.settings import Settings, Supervision, load


def test_the_defaults_are_the_contracts() -> None:
    settings = loaded(state_dir="/var/lib/x")

    assert [url.get_secret_value() for url in settings.amqp_urls] == [
        "amqp://guest:guest@localhost:5672/%2F"
    ]
    assert settings.heartbeat == timedelta(seconds=5)
    assert settings.namespace == "task-edit"
    assert settings.declare is True
    assert settings.management_url is None
    assert settings.hold == timedelta(minutes=20)
    assert settings.ops_address == ("127.0.0.1", 9464)
    assert settings.shutdown_grace == timedelta(seconds=45)
    assert (settings.log_level, settings.log_format) == ("info", "auto")
    assert settings.supervision == Supervision()
    assert settings.warnings == ()
    assert settings.accounts == (
        Account(
            name="default",
            api_key="bDqJFiq9",
            api_secret=SecretStr("7bz1lzh9"),
            endpoint=Endpoint(
                "https://api.itniotech.com/aivoice",
                connect_timeout=timedelta(seconds=5),
                call_timeout=timedelta(seconds=30),
            ),
            bounds=Bounds(ZoneInfo("Asia/Shanghai"), "09:00", "20:00", frozenset()),
            rates=(Rate(10, 1.0),),
            concurrency=16,
            policy=Policy(attempts=5),
        ),
    )


def test_every_variable_arrives() -> None:
    settings = loaded(
        amqp_url="amqp://u:p@one/%2F, amqps://u:p@two:5671/vhost",
        heartbeat="10s",
        namespace="staging",
        declare="no",
        management_url="http://u:p@one:15672/",
        app_ids="LILIN888, LILIN999,",
        api_url="https://stand.in/aivoice/",
        api_timezone="Europe/Berlin",
        rate="600/m,20/s",
        concurrency="32",
        coalesce="yes",
        attempts="3",
        connect_timeout="500ms",
        call_timeout="7.5",
        hold="10m",
        http_proxy="http://user:pass@proxy:3128",
        daily_window="08:30 - 21:00",
        state_dir="/srv/state",
        ops_address="[::1]:0",
        shutdown_grace="1m",
        log_level="DEBUG",
        log_format="console",
    )

    assert [url.get_secret_value() for url in settings.amqp_urls] == [
        "amqp://u:p@one/%2F",
        "amqps://u:p@two:5671/vhost",
    ]
    assert settings.heartbeat == timedelta(seconds=10)
    assert settings.namespace == "staging"
    assert settings.declare is False
    assert settings.management_url == SecretStr("http://u:p@one:15672")
    assert settings.hold == timedelta(minutes=10)
    assert settings.state_dir == Path("/srv/state")
    assert settings.ops_address == ("::1", 0)
    assert settings.shutdown_grace == timedelta(minutes=1)
    assert (settings.log_level, settings.log_format) == ("debug", "console")
    (account,) = settings.accounts
    assert account.coalesce is True
    assert account.endpoint == Endpoint(
        "https://stand.in/aivoice",
        connect_timeout=timedelta(milliseconds=500),
        call_timeout=timedelta(seconds=7.5),
        proxy="http://user:pass@proxy:3128",
    )
    assert account.bounds == Bounds(
        ZoneInfo("Europe/Berlin"), "08:30", "21:00", frozenset({"LILIN888", "LILIN999"})
    )
    assert account.rates == (Rate(20, 1.0), Rate(600, 60.0))
    assert (account.concurrency, account.policy.attempts) == (32, 3)


def test_an_empty_variable_is_one_that_is_not_given() -> None:
    settings = loaded(http_proxy="", rate=" ", hold="", amqp_url_file="")

    assert settings.accounts[0].endpoint.proxy is None
    assert settings.accounts[0].rates == (Rate(10, 1.0),)


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("amqp_url", "http://u:hidden@h", "must begin with amqp:// or amqps://: write one like"),
        ("amqp_url", "amqp://u:hidden@:5672/", "has no valid host and port in it: write one"),
        (
            "amqp_url",
            "amqp://u:hidden@h:x/",
            "is not a valid address: write one like amqp://user:password",
        ),
        ("amqp_url", "amqp://u:hidden@h:0/", "has no valid host and port in it"),
        ("amqp_url", "amqp://u:hid den@h/", "has no valid host and port in it"),
        ("amqp_url", "amqp://u:4711/hidden@h", "cannot be read for sure: in a user, a password or"),
        ("amqp_url", "amqp://u:p@ss#hidden", "write % as %25, @ as %40, / as %2F, # as %23"),
        ("amqp_url", "amqp://u:1?hidden@h", "cannot be read for sure"),
        ("amqp_url", "amqp://u:hid@den@h", "cannot be read for sure"),
        ("amqp_url", "amqp://u:hidden%@h", "cannot be read for sure"),
        ("amqp_url", "amqp://h/?hidden=x", "has an unknown parameter: the known ones are cacert"),
        ("amqp_url", "amqp://h/?hidden", "has an unknown parameter"),
        ("amqp_url", "amqp://h/?heartbeat=5", "which is not used: set TASKEDIT_HEARTBEAT"),
        ("management_url", "http://u:1/hidden@h", "cannot be read for sure"),
        ("http_proxy", "http://u:1/hidden@h", "cannot be read for sure"),
        ("api_url", "https://api.example/aivoice/taskEdit/", "ends in /taskEdit, which the worker"),
        ("app_ids", '"A"', "has quotes around it: write it without them"),
        ("app_ids", '["A","B"]', "write them separated by commas, without quotes or brackets"),
        ("app_ids", "A;B", "write them separated by commas"),
        ("api_key", '"hidden"', "has quotes around it: write it without them"),
        ("api_secret", "'hidden'", "has quotes around it: write it without them"),
        ("state_dir", '"/srv/state"', "has quotes around it: write it without them"),
        ("state_dir", "~/state", "begins with ~, which only a shell expands: write the path out"),
        ("accounts_file", "$HOME/accounts.toml", "begins with $, which only a shell expands"),
        ("amqp_url", "amqp://u:hidden@h/a/b", "plain slash in it: write that one as %2F"),
        ("amqp_url", "amqp://one,two", "has no valid host and port in it"),
        ("amqp_url", "amqps://h/?cacertfile=/no/such", "names /no/such, which cannot be read (No"),
        (
            "heartbeat",
            "soon",
            "is 'soon', which is not a valid duration: write one like 5s, 20m or 500ms",
        ),
        ("heartbeat", "500ms", "is '500ms': it must be 1s to 5m"),
        ("heartbeat", "0", "is '0': it must be 1s to 5m"),
        ("heartbeat", "-5s", "is '-5s', which is not a valid duration"),
        ("namespace", "task edit", "is 'task edit': write up to 100 letters, digits, dots"),
        ("namespace", "amq.mine", "is 'amq.mine': write up to 100 letters"),
        ("declare", "maybe", "is 'maybe': write true or false"),
        ("management_url", "one:15672", "must begin with http:// or https://"),
        ("management_url", "http://u:hidden@h/?x=1", "must end with its path, without ? or #"),
        ("app_ids", "LILIN888,#", "holds '#', which is not a valid appId"),
        ("app_ids", "a b", "holds 'a b', which is not a valid appId"),
        ("app_ids", "应" * 86, "which is longer than the 255 bytes of UTF-8 of a routing key"),
        ("api_url", "ftp://h", "must begin with http:// or https://: write one like https://api"),
        ("api_url", "https://u:hidden@h", "must not hold a user or a password"),
        ("api_timezone", "Asia/Shanghia", "not a known time zone: write one like Asia/Shanghai"),
        ("api_timezone", "../../etc/passwd", "not a known time zone: write one like"),
        ("api_timezone", "Asia", "which is not a known time zone: write one like"),
        ("rate", "10", "cannot be used: '10' is not a valid rate: write calls per s, m, h or d"),
        ("rate", "10/s,20/s", "limits the same window twice"),
        ("concurrency", "0", "is '0': write a whole number from 1 to 200"),
        ("concurrency", "201", "is '201': write a whole number from 1 to 200"),
        ("concurrency", "1.5", "is '1.5': write a whole number from 1 to 200"),
        ("concurrency", "٣", "is '٣': write a whole number"),
        ("attempts", "21", "is '21': write a whole number from 1 to 20"),
        ("connect_timeout", "2m", "is '2m': it must be 100ms to 1m"),
        ("call_timeout", "11m", "is '11m': it must be 500ms to 10m"),
        ("hold", "4s", "is '4s': it must be 5s to 59m"),
        ("hold", "1h", "is '1h': it must be 5s to 59m"),
        ("http_proxy", "socks5://hidden@h", "must begin with http:// or https://"),
        ("ca_file", "/no/such.pem", "names /no/such.pem, which cannot be read (No such file"),
        ("ca_file", __file__, "which holds no certificate in PEM form"),
        ("daily_window", "9:00-20:00", "is not a valid daily window: write one like 09:00-20:00"),
        ("daily_window", "20:00-09:00", "it must start before it ends, within one day"),
        ("daily_window", "09:00-24:00", "is not a valid daily window"),
        ("ops_address", "9464", "write host and port like 127.0.0.1:9464 or [::]:9464"),
        ("ops_address", "::1:9464", "write host and port like"),
        ("ops_address", "localhost:65536", "write host and port like"),
        ("shutdown_grace", "2h", "is '2h': it must be 1s to 1h"),
        ("log_level", "loud", "is 'loud': write one of debug, info, warning, error, critical"),
        ("log_format", "xml", "is 'xml': write one of auto, json, console"),
        ("accounts_file", "/no/such.toml", "names /no/such.toml, which cannot be read (No such"),
        ("api_key", "k\r\nX-Admin: hidden", "must be at most 500 visible ASCII characters"),
        ("api_secret", "hidden key", "must be at most 500 visible ASCII characters"),
        ("api_secret", "hidden\u200b", "must be at most 500 visible ASCII characters"),
    ],
)
def test_a_bad_setting_is_one_sentence_without_the_secret(
    name: str, text: str, sentence: str
) -> None:
    (found,) = problems(environ(**{name: text}))

    assert found.startswith(f"TASKEDIT_{name.upper()} ")
    assert sentence in found
    assert "hidden" not in found
    assert "\n" not in found


def test_all_that_is_bad_is_told_at_once() -> None:
    found = problems(named(rate="fast", hold="short", attempts="none"))

    assert [sentence.split()[0] for sentence in found] == [
        "TASKEDIT_RATE",
        "TASKEDIT_ATTEMPTS",
        "TASKEDIT_API_KEY",
        "TASKEDIT_API_SECRET",
        "TASKEDIT_HOLD",
    ]
    assert "TASKEDIT_API_KEY is missing: give it, or TASKEDIT_API_KEY_FILE" in found


def test_a_command_that_calls_no_api_needs_no_credentials() -> None:
    settings = load({}, accounts_wanted=False)

    assert isinstance(settings, Settings)
    assert settings.accounts == ()


def test_a_command_that_wants_no_secrets_reads_none(tmp_path: Path) -> None:
    tables = "".join(
        f'[accounts.{name}]\napi_key_file = "/no/such"\napp_ids = ["{name}"]\n' for name in "ab"
    )
    file = accounts_file(tmp_path, tables)

    settings = load(file, secrets_wanted=False)
    alone = load({}, secrets_wanted=False)

    assert isinstance(settings, Settings)
    assert isinstance(alone, Settings)
    assert [account.name for account in settings.accounts] == ["a", "b"]
    assert [account.name for account in alone.accounts] == ["default"]
    assert not isinstance(load(file), Settings)


@pytest.mark.parametrize("command", ["topology show", "topology apply", "dead list", "watch"])
def test_commands_that_never_call_the_api_need_no_credentials(command: str, port: int) -> None:
    nobody = named(amqp_url=f"amqp://127.0.0.1:{port}/")

    assert taskedit(*command.split(), environ=nobody).exit_code == 69


def test_half_of_the_credentials_is_a_mistake_for_any_command() -> None:
    found = load({"TASKEDIT_API_KEY": "k"}, accounts_wanted=False)

    assert not isinstance(found, Settings)
    assert [problem.where for problem in found] == ["TASKEDIT_API_SECRET"]


@pytest.mark.parametrize(
    ("variable", "hint"),
    [
        (
            "TASKEDIT_HEARTBEET",
            "TASKEDIT_HEARTBEET is an unknown setting; did you mean TASKEDIT_HEARTBEAT?",
        ),
        ("taskedit_rate", "taskedit_rate is an unknown setting; did you mean TASKEDIT_RATE?"),
        ("TASKEDIT_TIMEZONE", "did you mean TASKEDIT_API_TIMEZONE?"),
        ("TASKEDIT_PREFETCH", "TASKEDIT_PREFETCH is an unknown setting"),
    ],
)
def test_an_unknown_variable_is_warned_of(variable: str, hint: str) -> None:
    settings = load(CREDENTIALS | {variable: "1"})

    assert isinstance(settings, Settings)
    (warning,) = settings.warnings
    assert hint in warning


@pytest.mark.parametrize(
    ("variables", "warning"),
    [
        (
            {"rate": "100/s"},
            "TASKEDIT_CONCURRENCY is 16: enough for 100/s only while a call takes less than 160ms",
        ),
        ({"rate": "100/s", "concurrency": "100"}, None),
        ({"rate": "20/s,600/m"}, None),
        ({"hold": "35m"}, "TASKEDIT_HOLD is above RabbitMQ's own acknowledgement timeout of 30m"),
        ({"api_url": "http://api.example"}, "TASKEDIT_API_URL begins with http://"),
        ({"api_url": "http://127.0.0.1:8080"}, None),
        ({"api_url": "http://[::1]:8080"}, None),
        ({"call_timeout": "2s"}, "TASKEDIT_CONNECT_TIMEOUT is longer than the whole call may take"),
    ],
)
def test_what_is_allowed_and_hardly_meant_is_warned_of(
    variables: dict[str, str], warning: str | None
) -> None:
    found = loaded(**variables).warnings

    assert len(found) == (warning is not None)
    assert warning is None or found[0].startswith(warning)


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"STATE_DIRECTORY": "/var/lib/a:/var/lib/b"}, "/var/lib/a"),
        ({"STATE_DIRECTORY": "/var/lib/a", "TASKEDIT_STATE_DIR": "/srv"}, "/srv"),
        ({"TMPDIR": "/ignored"}, None),
    ],
)
def test_the_state_folder(
    environment: dict[str, str], folder: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/temporary")

    settings = load(CREDENTIALS | environment)

    assert isinstance(settings, Settings)
    assert settings.state_dir == Path(folder or "/temporary/task-edit")


def test_what_systemd_says_is_taken_from_its_variables() -> None:
    told = {"NOTIFY_SOCKET": "@taskedit", "WATCHDOG_USEC": "30000000", "NO_COLOR": "1"}

    settings = load(CREDENTIALS | told)

    assert isinstance(settings, Settings)
    assert settings.supervision == Supervision("@taskedit", timedelta(seconds=30))
    assert settings.no_color is True


@pytest.mark.parametrize("told", [{"WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "soon"}])
def test_a_watchdog_of_another_process_is_not_ours(told: dict[str, str]) -> None:
    settings = load(CREDENTIALS | {"WATCHDOG_USEC": "30000000"} | told)

    assert isinstance(settings, Settings)
    assert settings.supervision.watchdog is None


def test_without_a_folder_for_temporary_files_settings_are_read_all_the_same() -> None:
    program = """
import tempfile
tempfile._candidate_tempdir_list = list
from worker.settings import load
print(load({"TASKEDIT_API_KEY": "k", "TASKEDIT_API_SECRET": "a-secret"}).state_dir)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )

    assert (done.stderr, done.stdout) == ("", "/tmp/task-edit\n")
