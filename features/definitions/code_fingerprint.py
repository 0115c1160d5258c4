"""What a function reaches: its own code, the code that it calls and the values that it reads, in a form to hash."""

from __future__ import annotations

import ast
import hashlib
import importlib
import inspect
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum
from functools import partial
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from pydantic import BaseModel

from strata.features.engine.inputs import FeatureError

CONFIGURATION = "strata.conf"
_OWN = {"strata", "__main__"}
# Where a cluster has these, they need not lie among the installed packages.
_LIBRARIES = {"delta", "pandas", "numpy", "py4j", "pydantic", "pyspark", "yaml"}
_INSTALLED = re.compile(r"[/\\](site|dist)-packages[/\\]")
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")
_NOTHING = object()


def fingerprint(function: Callable[..., Any]) -> str:
    """A hash (hexadecimal SHA-256) of the code and values that ``function`` reaches; equal in every process.

    Followed are functions and classes of Strata, of the function's own package and of any other code that is not
    installed as a library: by the names that they use, closures, defaults, decorators, and imports in their bodies.
    Constants, and what a call of ``strata.conf`` without variable arguments returns (``load_calendar().holidays``),
    count by their values. Names of modules, functions and files, docstrings, comments, type annotations and layout
    don't count.

    Not seen: the code of libraries (what is used of them is, by name), files and tables that are read in another way
    than through ``strata.conf``, environment variables, the clock, what is called by a name made at run time
    (``getattr``), methods of objects that are arguments, and the engines that aggregate what the function returns.

    Raises ``FeatureError`` when the source of something reached can't be found, as for code made by ``exec``.
    """
    return hashlib.sha256(json.dumps(_reach(function).parts, sort_keys=True).encode()).hexdigest()


def reached_texts(function: Callable[..., Any]) -> list[str]:
    """All code that ``function`` reaches, without docstrings, comments and annotations, and every text it reads."""
    return list(_texts(_reach(function).parts))


def _texts(part: Any) -> Iterator[str]:
    if isinstance(part, str):
        yield part
    elif isinstance(part, list | dict):
        for inner in part.values() if isinstance(part, dict) else part:
            yield from _texts(inner)


def _reach(function: Callable[..., Any]) -> _Reach:
    code = inspect.unwrap(function.func if isinstance(function, partial) else function)
    found = _Reach(_OWN | {_root(getattr(code, "__module__", ""))})
    found.parts.append({"value": found.value(function)})
    return found


def _root(module: str | None) -> str:
    return (module or "").partition(".")[0]


@dataclass
class _Reach:
    """What has been reached so far: ``parts`` in the order of discovery, functions and classes by their place in it."""

    own: set[str]
    parts: list[dict[str, Any]] = field(default_factory=list)
    seen: dict[Any, int] = field(default_factory=dict)
    # Objects whose contents are being read, by identity: one may hold itself.
    open: set[int] = field(default_factory=set)

    def value(self, given: Any) -> Any:
        """A value that JSON can hold, equal for equal values; code stands as its place among the parts."""
        if given is None or isinstance(given, bool | int | float | str):
            return given.value if isinstance(given, Enum) else given
        if isinstance(given, partial | MethodType | FunctionType | type) or hasattr(given, "__wrapped__"):
            return self._code(given)
        if isinstance(given, ModuleType):
            return None if self.followed(given.__name__) else given.__name__
        if isinstance(given, Mapping):
            pairs = [[self.value(key), self.value(entry)] for key, entry in given.items()]
            return {"pairs": sorted(pairs, key=json.dumps)}
        if isinstance(given, list | tuple):
            return [self.value(entry) for entry in given]
        if isinstance(given, set | frozenset):
            # In an order that is the same in every process, before parts are numbered.
            ordered = sorted(given, key=lambda entry: getattr(entry, "__qualname__", repr(entry)))
            return {"set": sorted((self.value(entry) for entry in ordered), key=json.dumps)}
        if isinstance(given, Enum):
            return self.value(given.value)
        return self._instance(given)

    def _instance(self, given: Any) -> Any:
        kind = type(given)
        if isinstance(given, BaseModel):
            inside = {name: getattr(given, name) for name in kind.model_fields}
        elif is_dataclass(given):
            inside = {one.name: getattr(given, one.name) for one in fields(given) if one.compare}
        elif self.followed(kind.__module__):
            inside = getattr(given, "__dict__", {})
        else:
            # A date, a decimal, a pattern; where it shows only an address, no more than its kind is seen.
            return [kind.__qualname__, _ADDRESS.sub("", repr(given))]
        if id(given) in self.open:
            return ["itself"]
        self.open.add(id(given))
        values = {name: self.value(inside[name]) for name in sorted(inside)}
        self.open.remove(id(given))
        return [self.value(kind), values]

    def _code(self, given: Any) -> Any:
        if isinstance(given, partial):
            return {"partial": [self.value(part) for part in (given.func, given.args, given.keywords)]}
        if isinstance(given, MethodType):
            return {"method": [self.value(given.__func__), self.value(given.__self__)]}
        inner = inspect.unwrap(given)
        if not isinstance(inner, FunctionType | type) or not self.followed(inner.__module__):
            return f"{inner.__module__}.{getattr(inner, '__qualname__', type(inner).__qualname__)}"
        if inner not in self.seen:
            self.seen[inner] = len(self.parts)
            part: dict[str, Any] = {}
            self.parts.append(part)
            part.update(self._class(inner) if isinstance(inner, type) else self._function(inner))
        return {"part": self.seen[inner]}

    def followed(self, module: str) -> bool:
        """Whether code of a module is read, and not only named."""
        root = _root(module)
        if root in self.own:
            return True
        if root in _LIBRARIES or root in sys.stdlib_module_names:
            return False
        file = getattr(sys.modules.get(module), "__file__", None)
        return file is not None and not _INSTALLED.search(file)

    def _function(self, function: FunctionType) -> dict[str, Any]:
        node = _function_node(function)
        names = _Names(function.__globals__, {**_closure(function), **_imported(node, function.__module__)})
        # A default or decorator is evaluated outside; inside, only what the compiler took for global is.
        outside = [*getattr(node, "decorator_list", []), *node.args.defaults, *filter(None, node.args.kw_defaults)]
        names.visible = set(_global_names(function.__code__)) | {
            name.id for part in outside for name in ast.walk(part) if isinstance(name, ast.Name)
        }
        read = _References(self, names)
        source = ast.unparse(read.visit(_Plain().visit(node)))
        defaults = [self.value(function.__defaults__), self.value(function.__kwdefaults__)]
        return {"source": source, "reads": read.values, "defaults": defaults}

    def _class(self, kind: type) -> dict[str, Any]:
        module = sys.modules[kind.__module__]
        node = _class_node(kind, module)
        # Of a method's own names those are taken for global that the module has too: rather too much than too little.
        read = _References(self, _Names(vars(module), {}, set(vars(module))))
        return {"source": ast.unparse(read.visit(_Plain().visit(node))), "reads": read.values}


@dataclass
class _Names:
    """What names mean in a piece of code: those ``known`` from closures and imports, and those of its module."""

    module: Mapping[str, Any]
    known: Mapping[str, Any]
    visible: set[str] = field(default_factory=set)

    def look_up(self, name: str) -> Any:
        if name in self.known:
            return self.known[name]
        return self.module.get(name, _NOTHING) if name in self.visible else _NOTHING


class _Plain(ast.NodeTransformer):
    """Code without docstrings, imports and, in functions, annotations."""

    def __init__(self) -> None:
        self.functions = 0

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:  # noqa: N802
        return self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:  # noqa: N802
        return self._function(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:  # noqa: N802
        return self._body(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        return ast.arg(node.arg)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:  # noqa: N802
        if not self.functions:
            return self.generic_visit(node)  # The fields of a class are what their types make of them.
        return ast.copy_location(ast.Assign([node.target], node.value), node) if node.value else None

    def visit_Import(self, node: ast.Import) -> None:  # noqa: N802
        """Nothing: what an import binds is followed where it is used."""

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:  # noqa: N802
        """Nothing, likewise."""

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        node.returns = None
        self.functions += 1
        self._body(node)
        self.functions -= 1
        return node

    def _body(self, node: Any) -> ast.AST:
        first = node.body[0]
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            del node.body[0]
        self.generic_visit(node)
        node.body = node.body or [ast.Pass()]
        return node


class _References(ast.NodeTransformer):
    """Code with a number in the place of every name of followed code and of every value; the values beside it."""

    def __init__(self, reach: _Reach, names: _Names) -> None:
        self.reach, self.names = reach, names
        self.values: list[Any] = []
        self.outermost = True

    def visit(self, node: ast.AST) -> Any:
        if self.outermost and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            node.name = "_"
        self.outermost = False
        if isinstance(node, ast.Name | ast.Attribute | ast.Call):
            found = self._evaluated(node)
            if found is not _NOTHING:
                return self._referred(node, found)
        return self.generic_visit(node)

    def _referred(self, node: ast.AST, found: Any) -> ast.AST:
        module = found.__name__ if isinstance(found, ModuleType) else getattr(found, "__module__", None)
        code = callable(found) or isinstance(found, ModuleType)
        if code and not (isinstance(module, str) and self.reach.followed(module)):
            return node  # Of a library: by the name that it has here.
        self.values.append(self.reach.value(found))
        return ast.Name(f"reads_{len(self.values) - 1}")

    def _evaluated(self, node: ast.AST) -> Any:
        """What a name, a dotted name or a call of the configuration is; ``_NOTHING`` where that takes running code."""
        if isinstance(node, ast.Name):
            return self.names.look_up(node.id) if isinstance(node.ctx, ast.Load) else _NOTHING
        if isinstance(node, ast.Attribute):
            return self._attribute(self._evaluated(node.value), node.attr)
        if isinstance(node, ast.Call):
            called = self._evaluated(node.func)
            words = [word.value for word in node.keywords]
            if _is_configuration(called) and all(isinstance(one, ast.Constant) for one in [*node.args, *words]):
                given = [ast.literal_eval(one) for one in node.args]
                return called(*given, **{word.arg or "": ast.literal_eval(word.value) for word in node.keywords})
        return _NOTHING

    def _attribute(self, owner: Any, name: str) -> Any:
        if isinstance(owner, ModuleType):
            return getattr(owner, name, _NOTHING) if self.reach.followed(owner.__name__) else _NOTHING
        if isinstance(owner, type):
            return getattr(owner, name, _NOTHING) if self.reach.followed(owner.__module__) else _NOTHING
        if isinstance(owner, BaseModel) or is_dataclass(owner):
            found = getattr(owner, name, _NOTHING)
            return _NOTHING if callable(found) else found
        return _NOTHING


def _is_configuration(called: Any) -> bool:
    module = getattr(called, "__module__", None) or ""
    return not isinstance(called, type) and f"{module}.".startswith(f"{CONFIGURATION}.")


def _closure(function: FunctionType) -> dict[str, Any]:
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    return {name: _content(cell) for name, cell in cells}


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # Not filled yet.
        return _NOTHING


def _imported(node: ast.AST, module: str) -> dict[str, Any]:
    """What imports in the body of a function bind."""
    found: dict[str, Any] = {}
    package = getattr(sys.modules.get(module), "__package__", None)
    for one in ast.walk(node):
        if isinstance(one, ast.ImportFrom):
            source = importlib.import_module("." * one.level + (one.module or ""), package)
            for name in one.names:
                inner = getattr(source, name.name, _NOTHING)
                found[name.asname or name.name] = (
                    importlib.import_module(f"{source.__name__}.{name.name}") if inner is _NOTHING else inner
                )
        elif isinstance(one, ast.Import):
            for name in one.names:
                whole = importlib.import_module(name.name)
                found[name.asname or _root(name.name)] = whole if name.asname else sys.modules[_root(name.name)]
    return found


def _global_names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _global_names(constant)


def _function_node(function: FunctionType) -> Any:
    """The syntax of a function or lambda, found by where its code begins."""
    code = function.__code__
    nodes: list[Any] = [
        node
        for node in ast.walk(_parsed(function))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        and _first_line(node) == code.co_firstlineno
        and getattr(node, "name", "<lambda>") == code.co_name
    ]
    if len(nodes) > 1:
        places = {(line, column) for line, _, column, _ in code.co_positions()}
        # Several lambdas begin in one line: each runs code where its body is.
        nodes = [node for node in nodes if (node.body.lineno, node.body.col_offset) in places] or nodes
    if not nodes:
        raise _sourceless(function)
    return nodes[0]


def _first_line(node: Any) -> int:
    return min(one.lineno for one in (node, *getattr(node, "decorator_list", [])))


def _class_node(kind: type, module: ModuleType) -> ast.ClassDef:
    """The syntax of a class, in its module's file or, in a notebook, in the cell that a method of it is in."""
    methods = [one for one in vars(kind).values() if isinstance(one, FunctionType)]
    for item in methods if getattr(module, "__file__", None) is None else [module]:
        for node in ast.walk(_parsed(item)):
            if isinstance(node, ast.ClassDef) and node.name == kind.__name__:
                return node
    raise _sourceless(kind)


def _parsed(item: Any) -> ast.Module:
    """A fresh syntax tree, to be changed, of the file that something is in."""
    try:
        lines, _ = inspect.findsource(item)
        return ast.parse("".join(lines))
    except (OSError, TypeError, SyntaxError):
        raise _sourceless(item) from None


def _sourceless(item: Any) -> FeatureError:
    name = getattr(item, "__qualname__", getattr(item, "__name__", item))
    return FeatureError(f"{name} has no source to hash; define it in a file")
