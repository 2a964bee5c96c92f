"""Findings on a file as they are gathered: equal ones are one, with its count and first lines."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from OnPolicyDistill.datasets.prompt_rules import Finding, Severity

MAX_FINDINGS_PER_CODE = 200
FIRST_LINES = 10

Key = tuple[Severity, str, str, str]


@dataclass(slots=True)
class _Group:
    first: Finding
    lines: list[int]
    count: int = 1

    def finding(self) -> Finding:
        """The finding of its first line, which knows of the others."""
        if self.count == 1:
            return self.first
        update = {"num_lines": self.count, "lines": tuple(self.lines)}
        return self.first.model_copy(update=update)


@dataclass(slots=True)
class Findings:
    """`counts` has every finding by code; of each code the first different ones are listed."""

    counts: Counter[str] = field(default_factory=Counter)
    severities: Counter[str] = field(default_factory=Counter)
    groups: dict[Key, _Group] = field(default_factory=dict)
    listed_of_code: Counter[str] = field(default_factory=Counter)

    def add(self, finding: Finding) -> None:
        """Take a finding in."""
        self.counts[finding.code] += 1
        self.severities[finding.severity] += 1
        key = (finding.severity, finding.code, finding.message, finding.fix)
        group = self.groups.get(key)
        if group is not None:
            group.count += 1
            if len(group.lines) < FIRST_LINES and finding.line is not None:
                group.lines.append(finding.line)
        elif self.listed_of_code[finding.code] < MAX_FINDINGS_PER_CODE:
            self.listed_of_code[finding.code] += 1
            self.groups[key] = _Group(finding, [] if finding.line is None else [finding.line])

    def note(self, line: int | None, severity: Severity, code: str, message: str, fix: str) -> None:
        """Take in what is found on a line, or on the file as a whole."""
        self.add(Finding(line=line, severity=severity, code=code, message=message, fix=fix))

    def listed(self) -> tuple[Finding, ...]:
        """What is listed, by line; what is about the whole file comes first."""
        found = [group.finding() for group in self.groups.values()]
        return tuple(sorted(found, key=lambda finding: finding.line or 0))

    @property
    def num_unlisted(self) -> int:
        """Findings of which the list says nothing."""
        return self.counts.total() - sum(group.count for group in self.groups.values())
