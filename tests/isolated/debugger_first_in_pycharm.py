"""pydevd starts the program, as in PyCharm, which is patched, or run by the launcher: what it shows is as natively."""

from shared.dap import Debugger
from shared.debugger_walk import compare

compare(Debugger.as_pycharm)
