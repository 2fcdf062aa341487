from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import trustme

from tests.unit.settings.builders import CREDENTIALS, accounts_file, problems
from worker.core.judge import Fault
from worker.core.rate_limit import Rate
from worker.settings import Settings, load

TWO = """
[accounts.acme]
api_key = "key-of-acme"
api_secret = "hidden"
app_ids = ["LILIN888", "LILIN999"]

[accounts.umbra]
api_key = "key-of-umbra"
api_secret = "hidden"
app_ids = ["UMBRA1"]
"""


def test_a_table_says_what_is_different_and_the_variables_all_else(tmp_path: Path) -> None:
    environment = accounts_file(
        tmp_path,
        TWO
        + """
        rate = "20/s,600/m"
        concurrency = 40
        coalesce = true
        attempts = "7"
        api_timezone = "UTC"
        daily_window = "10:00-18:00"
        api_url = "https://other.example/aivoice"
        http_proxy = "http://u:p@proxy:3128"
        connect_timeout = 2
        call_timeout = "10s"
        verdicts = { "-52" = "retry", -33 = "suspend", "http:404" = "rejected" }
        """,
    )

    settings = load(environment | {"TASKEDIT_RATE": "5/s", "TASKEDIT_API_TIMEZONE": "Asia/Tokyo"})

    assert isinstance(settings, Settings)
    acme, umbra = settings.accounts
    assert (acme.name, umbra.name) == ("acme", "umbra")
    assert (acme.api_key, umbra.api_key) == ("key-of-acme", "key-of-umbra")
    assert acme.bounds.app_ids == {"LILIN888", "LILIN999"}
    assert acme.rates == (Rate(5, 1.0),)
    assert acme.bounds.zone == ZoneInfo("Asia/Tokyo")
    assert acme.endpoint.url == "https://api.itniotech.com/aivoice"
    assert (acme.concurrency, acme.policy.attempts, dict(acme.policy.overrides)) == (16, 5, {})
    assert umbra.rates == (Rate(20, 1.0), Rate(600, 60.0))
    assert (umbra.concurrency, umbra.policy.attempts) == (40, 7)
    assert (acme.coalesce, umbra.coalesce) == (False, True)
    assert umbra.bounds.zone == ZoneInfo("UTC")
    assert (umbra.bounds.earliest, umbra.bounds.latest) == ("10:00", "18:00")
    assert umbra.endpoint.url == "https://other.example/aivoice"
    assert umbra.endpoint.proxy == "http://u:p@proxy:3128"
    assert umbra.endpoint.connect_timeout == timedelta(seconds=2)
    assert umbra.endpoint.call_timeout == timedelta(seconds=10)
    assert dict(umbra.policy.overrides) == {
        "-52": Fault.RETRY,
        "-33": Fault.SUSPEND,
        "http:404": Fault.REJECTED,
    }


def test_files_are_found_beside_the_accounts_file(tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "acme").write_text("secret\n")
    environment = accounts_file(
        tmp_path,
        """
        [accounts.acme]
        api_key = "key"
        api_secret_file = "secrets/acme"
        ca_file = "ca.pem"
        """,
    )

    settings = load(environment)

    assert isinstance(settings, Settings)
    (account,) = settings.accounts
    assert account.api_secret.get_secret_value() == "secret"
    assert account.endpoint.ca_file == str(tmp_path / "ca.pem")


def test_the_same_settings_make_equal_accounts(tmp_path: Path) -> None:
    environment = accounts_file(tmp_path, f'{TWO}verdicts = {{ "-52" = "retry" }}')

    first, second = load(environment), load(environment)

    assert isinstance(first, Settings)
    assert isinstance(second, Settings)
    assert first.accounts == second.accounts


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (
            'rate = "fast"',
            "accounts.umbra.rate in {file} cannot be used: 'fast' is not a valid rate",
        ),
        ("rate = true", "accounts.umbra.rate in {file} is true or false: write text or a number"),
        ('coalesce = "often"', "accounts.umbra.coalesce in {file} is 'often': write true or false"),
        ("concurrency = [1]", "accounts.umbra.concurrency in {file} must be text or a number"),
        ("concurrency = 1.5", "accounts.umbra.concurrency in {file} is '1.5': write a whole"),
        (
            'timezone = "UTC"',
            "accounts.umbra.timezone in {file} is an unknown setting; did you mean api_timezone?",
        ),
        ("heartbeat = 3", "accounts.umbra.heartbeat in {file} is an unknown setting"),
        (
            'verdicts = { "-52" = "forgive" }',
            (
                "accounts.umbra.verdicts in {file} gives -52 the verdict 'forgive': write one of"
                " applied, rejected, retry, suspend"
            ),
        ),
        (
            'verdicts = { "http:503" = "rejected" }',
            "accounts.umbra.verdicts in {file} has the status 'http:503': write an API status",
        ),
        (
            'verdicts = { "http:429" = "rejected" }',
            "accounts.umbra.verdicts in {file} has the status 'http:429'",
        ),
        ('verdicts = "none"', "accounts.umbra.verdicts in {file} is not a table"),
        (
            'api_key_file = "x"',
            (
                "accounts.umbra.api_key in {file} is given twice: remove it or"
                " accounts.umbra.api_key_file in {file}"
            ),
        ),
        ('[accounts.Zeta]\napi_key = "x"', "accounts.Zeta in {file} is not a valid account name"),
        (
            "rate = ",
            "TASKEDIT_ACCOUNTS_FILE names {file}, which is not valid TOML: Invalid value (at",
        ),
        ("[accounts]\nzeta = 1", "accounts.zeta in {file} is not a table: write [accounts.zeta]"),
        (
            "[defaults]\nrate = 1",
            "defaults in {file} is an unknown setting: write a table per account",
        ),
        (
            '[accounts.zeta]\napi_key = "zeta"\napi_secret = "hidden"',
            "accounts.zeta.app_ids in {file} is missing: of several accounts each lists its own",
        ),
        (
            '[accounts.zeta]\napi_key = "key-of-acme"\napi_secret = "hidden"\napp_ids = ["Z"]',
            "accounts.zeta.api_key in {file} is also that of accounts.acme",
        ),
        (
            '[accounts.zeta]\napi_key = "zeta"\napi_secret = "hidden"\napp_ids = ["LILIN888"]',
            "accounts.zeta.app_ids in {file} lists LILIN888, as accounts.acme does",
        ),
        (
            '[accounts.zeta]\napi_key = "zeta"\napp_ids = ["Z"]',
            (
                "accounts.zeta.api_secret in {file} is missing: give it, or"
                " accounts.zeta.api_secret_file in {file}"
            ),
        ),
        (
            '[accounts.zeta]\napi_key = "zeta"\napi_secret = "hidden"\napp_ids = [1]',
            'accounts.zeta.app_ids in {file} must be a list of texts: write one like ["LILIN888"]',
        ),
    ],
)
def test_what_is_wrong_in_the_file_is_one_sentence(
    tmp_path: Path, more: str, sentence: str
) -> None:
    environment = accounts_file(tmp_path, f"{TWO}\n{more}\n")

    (found,) = problems(environment)

    assert found.startswith(sentence.format(file=environment["TASKEDIT_ACCOUNTS_FILE"]))
    assert "hidden" not in found


@pytest.mark.parametrize("text", ["", "[accounts]", "accounts = 3"])
def test_a_file_without_accounts_is_refused(tmp_path: Path, text: str) -> None:
    environment = accounts_file(tmp_path, text)

    (found,) = problems(environment)

    assert found.endswith("is missing: write a table per account, like [accounts.acme]")


def test_credentials_beside_a_file_are_warned_of(tmp_path: Path) -> None:
    settings = load(accounts_file(tmp_path, TWO) | CREDENTIALS)

    assert isinstance(settings, Settings)
    assert [warning.split(":")[0] for warning in settings.warnings] == [
        "TASKEDIT_API_KEY is not used",
        "TASKEDIT_API_SECRET is not used",
    ]


def test_a_rate_that_concurrency_cannot_reach_is_warned_of_by_account(tmp_path: Path) -> None:
    settings = load(accounts_file(tmp_path, f'{TWO}\nrate = "50/s"'))

    assert isinstance(settings, Settings)
    (warning,) = settings.warnings
    assert warning.startswith("accounts.umbra.concurrency in ")
    assert warning.endswith("enough for 50/s only while a call takes less than 320ms")


@pytest.mark.parametrize(("mode", "warnings"), [(0o600, 0), (0o640, 0), (0o646, 1)])
def test_an_accounts_file_that_every_user_can_change_is_warned_of(
    tmp_path: Path, mode: int, warnings: int
) -> None:
    environment = accounts_file(tmp_path, TWO)
    Path(environment["TASKEDIT_ACCOUNTS_FILE"]).chmod(mode)

    settings = load(environment)

    assert isinstance(settings, Settings)
    assert sum("every user can change" in each for each in settings.warnings) == warnings
