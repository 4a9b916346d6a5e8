"""A statement of SQLite, or the look-up of a name, that is under way holds up neither the end of the program nor a child."""

import subprocess
import sys
import textwrap

PROGRAM = textwrap.dedent("""
    import atexit, os, socket, sqlite3, sys, threading, time
    import dhagapatch
    from dhagapatch import _real, inspect

    dhagapatch.patch_all(offload=["sqlite3"])
    real, gate = _real.getaddrinfo, _real.allocate_lock()
    gate.acquire()

    def look_up(host, *args, **kwargs):  # a resolver whose server is silent
        if host in ("silent.example", b"silent.example"):
            gate.acquire()
        return real(host, *args, **kwargs)

    _real.getaddrinfo = look_up
    LONG = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"

    def sqlite_call(statement):
        return sqlite3.connect(":memory:").execute(statement).fetchall()

    def name_call(host):
        return bool(socket.getaddrinfo(host, 80))

    call, endless, short, way = {
        "sqlite": (sqlite_call, LONG, "SELECT 1"), "name": (name_call, "silent.example", "localhost"),
    }[sys.argv[1]] + (sys.argv[2],)
    thread = threading.Thread(target=call, args=(endless,), daemon=True)
    thread.start()
    while not inspect.stats()["offload"]["calls"]:
        time.sleep(0.001)
    atexit.register(print, "at exit")
    if way == "fork":
        child = os.fork()
        if not child:
            print(call(short))
            other = threading.Thread(target=lambda: print(call(short)))
            other.start()
            other.join()
            sys.stdout.flush()
            os._exit(7)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    elif way == "interrupt":
        threading.Timer(0.01, os.kill, (os.getpid(), 2)).start()
        try:
            thread.join()
        except KeyboardInterrupt:
            print("interrupted")
    elif way == "exit":
        sys.exit(3)
    elif way == "at once":
        os._exit(4)
""")
ENDS = {
    "end": (0, "at exit\n"),
    "exit": (3, "at exit\n"),
    "at once": (4, ""),
    "interrupt": (0, "interrupted\nat exit\n"),
    "fork": (0, "{0}\n{0}\n7\nat exit\n"),
}
ANSWERS = {"sqlite": "[(1,)]", "name": "True"}

for way, (code, said) in ENDS.items():
    programs = {
        call: subprocess.Popen([sys.executable, "-c", PROGRAM, call, way], stdout=subprocess.PIPE, text=True) for call in ANSWERS
    }
    for call, program in programs.items():
        output = program.communicate(timeout=18)[0]  # the calls have no end
        assert (program.returncode, output) == (code, said.format(ANSWERS[call])), (call, way, program.returncode, output)
