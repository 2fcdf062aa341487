from __future__ import annotations

from worker.api.auth import signature


def test_the_signature_is_the_one_of_the_providers_own_example() -> None:
    assert signature("bDqJFiq9", "7bz1lzh9", "1630468800") == "05d7a50893e22a5c4bb3216ae3396c7c"


def test_key_secret_and_timestamp_are_signed_in_this_order_and_in_utf_8() -> None:
    # as `printf ключsecret1 | md5sum` says
    assert signature("ключ", "secret", "1") == "f9ca8cb0b3a57d3a5692cda573bce706"
