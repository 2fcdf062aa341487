"""Each published pattern judges alike in the engines that publishers check with."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from base64 import b64encode
from typing import TYPE_CHECKING, Any

import pytest

from schemas import json_schema
from schemas.asyncapi import document
from schemas.json_schema import NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NODE = """
const [p, t] = [0, 1];
for (const line of require('fs').readFileSync(0, 'utf8').trim().split('\\n')) {
  const pair = line.split(' ').map((each) => Buffer.from(each, 'base64').toString());
  console.log(new RegExp(pair[p], 'u').test(pair[t]) ? 1 : 0);
}
"""
PHP = """<?php
while (($line = fgets(STDIN)) !== false) {
    [$pattern, $text] = array_map('base64_decode', explode(' ', rtrim($line, "\\n")));
    $found = preg_match('~' . $pattern . '~u', $text);
    if ($found === false) exit(1);
    echo $found, "\\n";
}
"""
GO = """package main

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"os"
	"regexp"
	"strings"
)

func text(encoded string) string {
	decoded, _ := base64.StdEncoding.DecodeString(encoded)
	return string(decoded)
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		pair := strings.SplitN(lines.Text(), " ", 2)
		if regexp.MustCompile(text(pair[0])).MatchString(text(pair[1])) {
			fmt.Println(1)
		} else {
			fmt.Println(0)
		}
	}
}
"""
JAVA = """
import java.util.*;
import java.util.regex.*;
import static java.nio.charset.StandardCharsets.UTF_8;

public class Judge {
    public static void main(String[] args) {
        Scanner lines = new Scanner(System.in);
        while (lines.hasNextLine()) {
            String[] pair = lines.nextLine().split(" ", 2);
            String pattern = new String(Base64.getDecoder().decode(pair[0]), UTF_8);
            String text = new String(Base64.getDecoder().decode(pair[1]), UTF_8);
            System.out.println(Pattern.compile(pattern).matcher(text).find() ? 1 : 0);
        }
    }
}
"""
ENGINES = {
    "ecmascript": ("node", "judge.cjs", NODE, ("node",)),
    "pcre": ("php", "judge.php", PHP, ("php",)),
    "re2": ("go", "judge.go", GO, ("go", "run")),
    "java": ("javac", "Judge.java", JAVA, ("java",)),
}
TEXTS = (
    "", " ", "\t", "\x0b\x1c\x85\xa0\u1680\u2000\u2028\u202f\u3000", "a", "秋", "😀", "-", "a b",
    "09:00", "24:00", "9:00", "2024-02-29", "2023-02-29", "2024-02-29 23:59:59",
    "2024-02-29T23:59Z", "2024-02-29T23:59", "2026-11-22T08:00:00.000Z", "0", "17", "4711.5",
    "acme", "Acme", "a" * 41, "\uff12\uff10\uff12\uff14-02-29",
)  # fmt: skip


def patterns(value: object) -> Iterator[str]:
    """Every pattern within a schema."""
    if isinstance(value, dict):
        if isinstance(value.get("pattern"), str):
            yield value["pattern"]
        for inner in value.values():
            yield from patterns(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from patterns(inner)


PUBLISHED = sorted({*patterns(document()), *(p for n in NAMES for p in patterns(json_schema(n)))})
PAIRS = [(pattern, text) for pattern in PUBLISHED for text in TEXTS]


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_judges_as_python_does(engine: str, tmp_path: Path) -> None:
    needed, name, source, command = ENGINES[engine]
    if shutil.which(needed) is None:
        pytest.skip(f"{needed} is absent")
    (tmp_path / name).write_text(source, encoding="utf-8")
    lines = "\n".join(" ".join(b64encode(e.encode()).decode() for e in pair) for pair in PAIRS)
    environment: dict[str, Any] = os.environ | {"GOCACHE": str(tmp_path / "cache")}

    told = subprocess.run(
        [*command, str(tmp_path / name)],
        input=f"{lines}\n",
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env=environment,
    )

    assert told.returncode == 0, told.stderr
    judged = list(zip(PAIRS, told.stdout.split(), strict=True))
    assert len(PUBLISHED) > 5
    assert [
        pair for pair, found in judged if (re.search(*pair) is not None) != (found == "1")
    ] == []
