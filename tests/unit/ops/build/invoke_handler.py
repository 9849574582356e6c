"""Invoke a function's handler as Lambda does. The handler can import only from given folders and the standard library.

    python -I -S -B invoke_handler.py <folders> <function> <event>

Each argument is JSON. The program prints one line of JSON: the handler's response, the modules that the handler loaded,
the files of these modules, and whether boto3 can be imported.
"""

import site  # noqa: F401 - Lambda loads `site` itself, so don't count it as loaded by the handler
import sys

MODULES_AT_START = set(sys.modules)


class Context:
    """A stand-in for the context object that Lambda passes to a handler together with the event."""

    def get_remaining_time_in_millis(self) -> int:
        return 30_000


def main() -> None:
    import importlib.machinery
    import json

    folders, function, event = map(json.loads, sys.argv[1:])
    sys.path[:0] = folders
    response = importlib.import_module(f"readplane.{function}.handler").handler(event, Context())
    files = {path for module in list(sys.modules.values()) if (path := getattr(module, "__file__", None))}
    result = {
        "response": response,
        "modules": sorted(set(sys.modules) - MODULES_AT_START),
        "files": sorted(files - {__file__}),
        "boto3": importlib.machinery.PathFinder.find_spec("boto3") is not None,
    }
    print(json.dumps(result))


main()
