"""ONNX Runtime's refusals of a model: their meaning, and the remedies.

Its errors have no classes to tell them apart and carry the signatures of its functions: what is known is said in plain
words, and the rest without them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import onnxruntime as ort

from asyncbench.errors import text_line

_RUNTIME = f"ONNX Runtime {ort.__version__}"
_NEWER = "or install a newer onnxruntime"
# `[ONNXRuntimeError] : 1 : FAIL : `, `Load model from PATH failed:`, and where in its source with which signature.
_NOISE = re.compile(
    r"\[ONNXRuntimeError\] : \d+ : \w+ : "
    r"|Load model from .*? failed:"
    r"|/\S+\.(?:cc|h):\d+ (?:[^()]*\([^()]*\)(?: const)? )?"
    r"|\b\w+\.(?:cc|h):\d+ "
    r"|Name:'' (?=Status Message)"
)
# What a Reshape says that has more or fewer elements than its constant shape.
_RESHAPED = re.compile(r"Input shape:\{(\d+)[,}\d]*, requested shape:\{(\d+)[,}]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The end of a sentence that starts with the model's path, and the remedy."""

    text: str
    remedy: str


_Explain = Callable[[re.Match[str]], Explanation]


def _opset(found: re.Match[str]) -> Explanation:
    opset, domain, most = found.groups()
    return Explanation(
        text=f"is of opset {opset} of {domain}, and {_RUNTIME} supports up to opset {most}",
        remedy=f"export it with opset {most} or lower, {_NEWER}",
    )


def _ir_version(found: re.Match[str]) -> Explanation:
    version, most = found.groups()
    return Explanation(
        text=f"is of IR version {version}, and {_RUNTIME} supports up to IR version {most}",
        remedy=f"save it again with model.ir_version = {most}, {_NEWER}",
    )


def _custom_operator(found: re.Match[str]) -> Explanation:
    domain, operator = found.groups()
    return Explanation(
        text=f"has the operator {operator} of {domain}, which {_RUNTIME} does not know",
        remedy="export it without custom operators: their libraries are not loaded here",
    )


def _no_operator(found: re.Match[str]) -> Explanation:
    operator, opset = found.groups()
    return Explanation(
        text=f"has the operator {operator}, which opset {opset} does not have",
        remedy="export it with the operators of ONNX, and an opset that has them",
    )


def _no_kernel(found: re.Match[str]) -> Explanation:
    return Explanation(
        text=f"has a {found[1]} of types that {_RUNTIME} cannot compute on the processor",
        remedy="export it in fp32, or use --backend tensorrt",
    )


def _outside(found: re.Match[str]) -> Explanation:
    name, place = found.groups()
    return Explanation(
        text=f"keeps weights in {name!r}, which is a link to {place!r} outside of the model's folder",
        remedy="put that file itself beside the model",
    )


def _several_names(found: re.Match[str]) -> Explanation:
    return Explanation(
        text=f"keeps weights in {found[1]!r}, which has several hard links: {_RUNTIME} does not read those",
        remedy="put a copy of that file in its place",
    )


_KNOWN: tuple[tuple[re.Pattern[str], _Explain], ...] = (
    (re.compile(r"Opset (\d+) is under development.*support for domain (\S+) is till opset (\d+)"), _opset),
    (re.compile(r"Unsupported model IR version: (\d+), max supported IR version: (\d+)"), _ir_version),
    (re.compile(r"Fatal error: ([^\s:]+):(\S+?)\(-?\d+\) is not a registered function/op"), _custom_operator),
    (re.compile(r"No Op registered for (\S+) with domain_version of (-?\d+)"), _no_operator),
    (re.compile(r"Could not find an implementation for (\S+?)\(\d+\)"), _no_kernel),
    (re.compile(r'External data path: "(.*?)" resolved path: "(.*?)" allowed directory'), _outside),
    (re.compile(r"should be stored in (.*), but it has multiple hard links"), _several_names),
)


def explain_unusable(error: Exception) -> Explanation:
    """Return why a session cannot be opened on a model."""
    text = text_line(error)
    if isinstance(error, UnicodeDecodeError):
        return Explanation(
            text="has a name in it that is not UTF-8: the file is damaged", remedy="export or download it again"
        )
    for pattern, explain in _KNOWN:
        if found := pattern.search(text):
            return explain(found)
    return Explanation(
        text=f"cannot be used as a model: {plain_text(error)}",
        remedy="give an ONNX file that this ONNX Runtime can load",
    )


def batch_inside(error: Exception, *, batch: int) -> int | None:
    """Return the batch that a Reshape in the graph has as a constant, of an inference that failed at another one."""
    found = _RESHAPED.search(text_line(error))
    if found is None or int(found[1]) != batch or int(found[2]) in (0, batch):
        return None
    return int(found[2])


def plain_text(error: Exception) -> str:
    """Return what the runtime says without its codes, source files and signatures, on one line."""
    return " ".join(_NOISE.sub("", text_line(error)).split())
