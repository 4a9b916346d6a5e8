"""The harness of the benchmarks: what is run in which order, what becomes of failures, ratios, targets and pages."""

from __future__ import annotations

import ast
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import __main__ as command_line
from benchmarks import runner
from benchmarks.absent import SLOW, find_absent
from benchmarks.cases import CASES, PROGRAMS, Case
from benchmarks.environment import Environment
from benchmarks.launchers import LAUNCHERS, OURS, Launcher
from benchmarks.pages import markers, replace_section, sections_of
from benchmarks.report import ALL, STANDING, all_rows, as_json, as_markdown, standing
from benchmarks.runner import Plan, Results, RunFailed, Sample, run_all, run_once
from benchmarks.summary import Row, summarize
from benchmarks.targets import TARGETS, targets_of
from benchmarks.verdicts import judge

BY_NAME = {case.name: case for case in CASES}
LAUNCHER = {launcher.name: launcher for launcher in LAUNCHERS}
ENVIRONMENT = Environment("today", "a CPU", 2, "a system", 0.0, None, {"python": "CPython 3.11.7", **dict.fromkeys(
    ("dhagapatch", "gevent", "eventlet", "greenlet", "tornado", "uvloop", "requests"), "1.0")})  # fmt: skip


def make_plan(*cases: Case, launchers: tuple[Launcher, ...] = LAUNCHERS, rounds: int = 1, **rest: object) -> Plan:
    return Plan(sys.executable, cases, launchers, rounds, True, 20.0, **rest)  # type: ignore[arg-type]


def cost(microseconds: float, memory: int | None = None) -> Sample:
    """A sample of 1,000 operations that cost so much each."""
    return Sample(1000, microseconds / 1000, microseconds / 500, 1 << 20, memory and memory * 1000)


def rows_of(plan: Plan, **costs: list[Sample]) -> list[Row]:
    """The rows of a plan with one case."""
    (case,) = plan.cases
    results = Results({(case.name, name): samples for name, samples in costs.items()}, rounds=plan.rounds)
    return summarize(results, plan)


def ours(rows: list[Row]) -> Row:
    return next(row for row in rows if row.launcher.name == OURS)


def test_the_tables_fit_together() -> None:
    assert len(BY_NAME) == len(CASES)
    for case in CASES:
        for launcher in make_plan(case).runs(case):
            assert (PROGRAMS / f"{case.program}{launcher.rewrite}.py").exists(), (case.name, launcher.name)
    for target in TARGETS:
        assert target.case in BY_NAME
        assert target.against in LAUNCHER or target.against in BY_NAME, target
    assert len({(target.case, target.against, target.quantity) for target in TARGETS}) == len(TARGETS)


def test_programs_know_nothing_of_a_runtime() -> None:
    runtimes = {"dhagapatch", "gevent", "eventlet", "greenlet", "uvloop", "tornado"}
    for path in PROGRAMS.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not runtimes & {name.partition(".")[0] for name in names}, path.name


def test_no_case_is_without_a_target_for_eventlet() -> None:
    assert all(any(target.against == "eventlet" for target in targets_of(case.name)) for case in CASES)
    assert [target.limit for target in targets_of("queue-ping-pong") if target.against == "eventlet"] == [0.60]
    assert [target.limit for target in targets_of("dns")] == [1.0]


def test_rounds_are_interleaved(monkeypatch: pytest.MonkeyPatch) -> None:
    order = []

    def run(plan: Plan, case: Case, launcher: Launcher) -> Sample:
        order.append((case.name, launcher.name))
        return cost(1)

    monkeypatch.setattr(runner, "run_once", run)
    few = BY_NAME["dns"]._replace(most_rounds=1)
    launchers = (LAUNCHER["threads"], LAUNCHER[OURS])
    results = run_all(make_plan(few, BY_NAME["bulk"], launchers=launchers, rounds=2), lambda text: None)
    dns = [("dns", "threads"), ("dns", OURS)]
    bulk = [("bulk", "threads"), ("bulk", OURS)]
    assert order == [*dns, *bulk, *bulk]
    assert (results.rounds, len(results.samples["bulk", OURS])) == (2, 2)


def test_no_round_is_begun_that_would_not_end_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0

    def run(plan: Plan, case: Case, launcher: Launcher) -> Sample:
        nonlocal now
        now += 10
        return cost(1)

    monkeypatch.setattr(runner, "run_once", run)
    plan = make_plan(BY_NAME["dns"], launchers=LAUNCHERS[:1], rounds=9, seconds=35.0)
    results = run_all(plan, lambda text: None, lambda: now)
    assert (results.rounds, len(results.samples["dns", "threads"])) == (3, 3)


def test_rounds_with_fewer_cases_are_known_to_be_shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0

    def run(plan: Plan, case: Case, launcher: Launcher) -> Sample:
        nonlocal now
        now += 100 if case.name == "bulk" else 10
        return cost(1)

    monkeypatch.setattr(runner, "run_once", run)
    cases = BY_NAME["dns"], BY_NAME["bulk"]._replace(most_rounds=1)
    plan = make_plan(*cases, launchers=LAUNCHERS[:1], rounds=9, seconds=135.0)
    assert run_all(plan, lambda text: None, lambda: now).rounds == 3


def test_who_fails_is_left_out_from_then_on(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = []

    def run(plan: Plan, case: Case, launcher: Launcher) -> Sample:
        ran.append(launcher.name)
        if launcher.name == "gevent":
            raise RunFailed("not done within 20 s\n  | somewhere")
        return cost(1)

    monkeypatch.setattr(runner, "run_once", run)
    absent = {("dns", "eventlet"): "eventlet cannot be imported"}
    plan = make_plan(BY_NAME["dns"], rounds=2, absent=absent)
    results = run_all(plan, lambda text: None)
    assert ran == ["threads", "gevent", OURS, "threads", OURS]
    lines = standing(summarize(results, plan))
    assert lines[0][2:5] == ["1.00", "- [1]", "- [2]"]
    assert lines.footnotes == [
        "dns under gevent: not done within 20 s",
        "dns under eventlet: eventlet cannot be imported",
    ]
    table = as_markdown(ALL, all_rows(summarize(results, plan)))
    assert "| dns | gevent | - [1] |" in table and "\n- [1] dns under gevent: not done within 20 s\n" in table


def test_a_footnote_has_the_last_words() -> None:
    plan = make_plan(BY_NAME["dns"])
    results = Results(failures={("dns", OURS): "dns under dhagapatch, round 1: exit code 1\n  | Traceback\n  | OSError: no"})
    assert standing(summarize(results, plan)).footnotes[0] == "dns under dhagapatch: exit code 1, OSError: no"


def test_what_is_absent() -> None:
    versions = {"gevent": "1", "eventlet": None, "dhagapatch": "1", "uvloop": "1", "requests": None}
    cases = [BY_NAME[name] for name in ("dns", "requests", "growth-10000")]
    absent = find_absent(cases, LAUNCHERS, versions)
    assert absent["dns", "eventlet"] == "eventlet cannot be imported"
    assert ("dns", "gevent") not in absent
    assert absent["requests", "threads"] == "requests cannot be imported"
    assert absent["growth-10000", "threads"] == SLOW
    nowhere = BY_NAME["http-wrk"]._replace(command="no-such-command")
    assert "no-such-command" in find_absent([nowhere], LAUNCHERS, versions)["http-wrk", OURS]


def test_ratios_are_taken_within_rounds() -> None:
    plan = make_plan(BY_NAME["dns"], rounds=3)
    # a machine that is slower from round to round, for both
    rows = rows_of(plan, gevent=[cost(10), cost(20), cost(40)], dhagapatch=[cost(5), cost(10), cost(30)])
    assert ours(rows).ratios["gevent"] == pytest.approx((0.5, 0.5, 0.75))
    assert ours(rows).cpu == pytest.approx((10, 5, 30))
    assert ours(rows).wall == pytest.approx((20, 10, 60))


def test_verdicts() -> None:
    plan = make_plan(BY_NAME["echo-1"])
    rows = rows_of(plan, gevent=[cost(10)], threads=[cost(4)], dhagapatch=[cost(6.04)])
    assert [(verdict.target.against, verdict.met) for verdict in judge(ours(rows), rows)] == [
        ("gevent", True),  # 0.604 is shown, and judged, as 0.60
        ("threads", False),
        ("epoll", None),
        ("eventlet", None),
    ]
    assert standing(rows)[0][-1] == "no: threads 1.51"
    assert not judge(rows[0], rows)


def test_verdicts_on_memory_on_another_case_and_in_milliseconds() -> None:
    plan = make_plan(BY_NAME["growth-100"], BY_NAME["growth-10000"], BY_NAME["start-up"])
    results = Results({
        ("growth-100", OURS): [cost(10, 1000)], ("growth-10000", OURS): [cost(11, 1300)],
        ("start-up", "threads"): [cost(20_000)], ("start-up", OURS): [cost(90_000)],
    })  # fmt: skip
    rows = {row.case.name: row for row in summarize(results, plan) if row.launcher.name == OURS}
    every = summarize(results, plan)
    growth = judge(rows["growth-10000"], every)
    assert [(verdict.target.quantity, verdict.met) for verdict in growth[:2]] == [("", True), ("memory", False)]
    start = judge(rows["start-up"], every)[0]
    assert start.value is not None and start.value.median == pytest.approx(70) and start.met is False
    line = next(line for line in standing(every) if line[0] == "start-up")
    assert line[-3:] == ["threads + 70.0 ms", "threads + 60 ms; eventlet 1", "no: threads 70.0"]


def test_idle_threads_are_compared_by_memory() -> None:
    plan = make_plan(BY_NAME["idle-20000"])
    rows = rows_of(plan, gevent=[cost(1, 10_000)], threads=[cost(1, 20_000)], dhagapatch=[cost(9, 8000)])
    assert {name: spread.median for name, spread in ours(rows).ratios.items()} == pytest.approx({"threads": 0.4, "gevent": 0.8})
    assert standing(rows)[0][1] == "8,000 B/thread"


def test_the_json_file_has_everything() -> None:
    plan = make_plan(BY_NAME["echo-1"])
    rows = rows_of(plan, gevent=[cost(10)], dhagapatch=[cost(5)])
    document = json.loads(as_json(rows, plan, ENVIRONMENT, Results(rounds=1)))
    row = next(row for row in document["rows"] if row["launcher"] == OURS)
    assert row["ratios"]["gevent"]["median"] == 0.5 and row["samples"][0]["operations"] == 1000
    assert {"case": "echo-1", "against": "gevent", "limit": 0.6, "met": True}.items() <= row["targets"][0].items()
    assert next(row for row in document["rows"] if row["launcher"] == "threads")["problem"] == "not run"


def test_markdown_has_a_cell_for_each_heading() -> None:
    rows = rows_of(make_plan(BY_NAME["echo-1"]), gevent=[cost(10)], dhagapatch=[cost(5)])
    for head, lines in ((STANDING, standing(rows)), (ALL, all_rows(rows))):
        assert {line.count("|") for line in as_markdown(head, lines).splitlines() if line.startswith("|")} == {len(head) + 1}


def test_sections_of_pages_are_replaced() -> None:
    begin, end = markers("costs, CPython 3.11")
    page = f"before\n{begin}\nold\n{end}\nafter\n"
    assert sections_of(page) == ["costs, CPython 3.11"]
    once = replace_section(page, "costs, CPython 3.11", "new")
    assert once == f"before\n{begin}\n\nnew\n\n{end}\nafter\n"
    assert replace_section(once, "costs, CPython 3.11", "new") == once
    with pytest.raises(ValueError, match="no section"):
        replace_section(page, "costs, CPython 3.12", "new")


def test_the_command_line_chooses() -> None:
    options = command_line.parse(["--only", "dns", "echo", "--on", OURS, "gevent"])
    assert [case.name for case in options.cases] == [case.name for case in CASES if case.program in ("echo", "dns")]
    assert [launcher.name for launcher in options.launchers] == ["gevent", OURS]
    assert (options.rounds, options.minutes) == (command_line.ROUNDS, command_line.MINUTES)
    assert command_line.parse(["--rounds", "2"]).minutes is None


@pytest.mark.parametrize("wrong", [["--only", "nothing-such"], ["--on", "nobody"], ["--rounds", "0"]])
def test_a_wrong_command_line_is_told(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        command_line.parse(wrong)
    assert "error:" in capsys.readouterr().err


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], Case]:
    """Make a case of a program's text."""

    def make(text: str) -> Case:
        (tmp_path / "subject.py").write_text(text)
        return Case("subject", "subject", "thing", (), ())

    monkeypatch.setattr(runner, "PROGRAMS", tmp_path)
    return make


def test_a_failing_program_is_told_with_its_last_words(program: Callable[[str], Case]) -> None:
    case = program("import sys; sys.exit('something is wrong')")
    with pytest.raises(RunFailed, match=r"exit code 1\n  \| something is wrong"):
        run_once(make_plan(case), case, LAUNCHER["threads"])


def test_wrong_data_are_a_failure(program: Callable[[str], Case]) -> None:
    result = {"operations": 1, "cpu_seconds": 1, "wall_seconds": 1, "peak_rss_bytes": 1, "memory_bytes": None}
    case = program(f"import json; print(json.dumps({result} | {{'correct': False}}))")
    with pytest.raises(RunFailed, match="data were wrong"):
        run_once(make_plan(case), case, LAUNCHER["threads"])
    case = program("print('no result')")
    with pytest.raises(RunFailed, match="no result in its output"):
        run_once(make_plan(case), case, LAUNCHER["threads"])


def test_a_program_that_hangs_shows_where_and_leaves_nothing_behind(program: Callable[[str], Case], tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    case = program(
        "import pathlib, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"pathlib.Path({str(pid)!r}).write_text(str(child.pid))\n"
        "def hang():\n"
        "    time.sleep(60)\n"
        "hang()\n"
    )
    plan = Plan(sys.executable, [case], LAUNCHERS, 1, True, 1.0)
    with pytest.raises(RunFailed, match=r"(?s)not done within 1 s.*in hang"):
        run_once(plan, case, LAUNCHER["threads"])
    status = Path(f"/proc/{pid.read_text()}/stat")
    # it may be about to end, and whoever adopts it may not have waited for it yet
    until = time.monotonic() + 5
    while status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.parametrize(("failing", "code"), [("", 0), ("eventlet", 0), (OURS, 1), ("threads", 1)])
def test_only_what_we_answer_for_makes_the_exit_code(
    failing: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(plan: Plan, case: Case, launcher: Launcher) -> Sample:
        if launcher.name == failing:
            raise RunFailed("no")
        return cost(1)

    monkeypatch.setattr(runner, "run_once", run)
    monkeypatch.setattr(command_line, "look_round", lambda python: ENVIRONMENT)
    assert command_line.main(["--only", "dns", "--quick"]) == code
    assert (f"dns under {failing}, round 1: no" in capsys.readouterr().err) == bool(failing)
