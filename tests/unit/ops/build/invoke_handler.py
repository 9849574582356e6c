"""Invoke a function's handler as Lambda does. It can import only from some folders and the standard library.

    python -I -S -B invoke_handler.py <folders> <function> <event>

Each argument is JSON. The program prints one line of JSON: the response, the modules that were loaded, the files that
they came from, and whether boto3 can be found.
"""

import site  # noqa: F401 - Lambda's runtime loads it before the handler, so it doesn't count
import sys

MODULES_AT_START = set(sys.modules)


class Context:
    """The context that Lambda passes to a handler together with the event."""

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
