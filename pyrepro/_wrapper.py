"""The wrapper of a decorated function: a plain function of the same kind, and its type."""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, overload

from pyrepro._code.process import is_importing_for_parent
from pyrepro._code.state import CodeState
from pyrepro.errors import PyreproError, without_inner_frames

# Type checkers take a variable of this name for true, whatever its value. Jedi evaluates it, and so does not see what
# it would show in place of the function's own parameters: it does not understand ParamSpec.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from pyrepro._naming import Naming

_P = ParamSpec("_P")
_Q = ParamSpec("_Q")
_R_co = TypeVar("_R_co", covariant=True)
_R = TypeVar("_R")
_S = TypeVar("_S")

_POLL = 0.05  # seconds between two looks at what another call is making


class Tagged(Protocol[_P]):
    """``tagged``: completed with the parameters of the function, of which it needs only some."""

    if TYPE_CHECKING:

        @overload
        def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> Any: ...

        @overload
        def __call__(self, *args: Any, **kwargs: Any) -> Any: ...


class Decorated(Protocol[_P, _R_co]):
    """A decorated function: the function's own signature, and four more attributes."""

    __name__: str
    __qualname__: str

    if TYPE_CHECKING:

        @property
        def __wrapped__(self) -> Callable[_P, _R_co]:
            """The undecorated function."""
            ...

        @property
        def code_state(self) -> CodeState | None:
            """The code state at the decoration, None where it could not be determined."""
            ...

        @property
        def tagged(self) -> Tagged[_P]:
            """The path, or the dict of paths, that a call with these arguments would write."""
            ...

        @property
        def refresh(self) -> Callable[_P, _R_co]:
            """A call that runs even if its artifact exists."""
            ...

        def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> _R_co: ...

    else:
        __wrapped__: Any
        code_state: CodeState | None
        tagged: Any
        refresh: Any

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> Decorated[_P, _R_co]: ...

    @overload
    def __get__(
        self: Decorated[Concatenate[_S, _Q], _R], instance: _S, owner: type | None = None
    ) -> Decorated[_Q, _R]: ...


def wrap(function: Callable[..., Any], naming: Naming, *, publishes: bool) -> Any:
    """A function of the same kind, signature, name and docstring, which names its calls.

    Args:
        function: the function.
        naming: how its calls are named.
        publishes: whether outputs are staged, and moved into place when they are complete.
    """
    wrapper, refresh = (
        _publishing(function, refreshes=refreshes) if publishes else _of_the_same_kind(function)
        for refreshes in (False, True)
    )
    for each in (wrapper, refresh):
        functools.update_wrapper(each, function)
        each._naming = naming
    wrapper.refresh = refresh
    wrapper.tagged = _tagged(wrapper)
    for name in ("refresh", "tagged"):
        # By which they pickle, as pools demand of what they call.
        attribute = getattr(wrapper, name)
        attribute.__module__ = wrapper.__module__
        attribute.__qualname__ = f"{wrapper.__qualname__}.{name}"
    return wrapper


def _tagged(wrapper: Any) -> Any:
    """``tagged`` of a wrapper, which prompts and notebooks complete with the parameters of the function."""

    def tagged(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        try:
            return wrapper._naming.tagged(*args, **kwargs)
        except PyreproError as error:
            raise without_inner_frames(error)  # noqa: B904

    naming = wrapper._naming
    tagged.__doc__ = naming.tagged.__doc__
    tagged.__signature__ = naming.signature.replace(return_annotation=Any)  # type: ignore[attr-defined]
    return tagged


def _of_the_same_kind(function: Callable[..., Any]) -> Any:
    # __tracebackhide__ tells pytest and IPython that the frame is none of the user's.
    # The naming is looked up on the wrapper itself at every call: it is the attributes of functions,
    # and not their closures, that IPython's autoreload brings up to date.
    wrapper: Any

    async def coroutine_function(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        call = wrapper._naming.begin(args, kwargs)
        try:
            result = await call.run()
        except BaseException:
            call.fail()
            raise
        call.end()
        return result

    async def async_generator_function(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        __tracebackhide__ = True
        call = wrapper._naming.begin(args, kwargs)
        generator = call.run()
        try:
            item = await anext(generator)
            while True:
                try:
                    sent = yield item
                except GeneratorExit:
                    await generator.aclose()
                    raise
                except BaseException as error:  # whatever is thrown in belongs to the function
                    item = await generator.athrow(error)
                else:
                    item = await generator.asend(sent)
        except StopAsyncIteration:
            call.end()
        except BaseException:
            call.fail()
            raise

    def generator_function(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        __tracebackhide__ = True
        call = wrapper._naming.begin(args, kwargs)
        try:
            result = yield from call.run()
        except BaseException:
            call.fail()
            raise
        call.end()
        return result

    def plain_function(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        call = wrapper._naming.begin(args, kwargs)
        try:
            result = call.run()
        except BaseException:
            call.fail()
            raise
        call.end()
        return result

    if inspect.iscoroutinefunction(function):
        wrapper = coroutine_function
    elif inspect.isasyncgenfunction(function):
        wrapper = async_generator_function
    elif inspect.isgeneratorfunction(function):
        wrapper = generator_function
    else:
        wrapper = plain_function
    return wrapper


def _publishing(function: Callable[..., Any], *, refreshes: bool) -> Any:
    from pyrepro._publish.call import PublishedCall  # imported where something is published

    wrapper: Any

    async def coroutine_function(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        try:
            call = PublishedCall(wrapper._naming, args, kwargs, refreshes=refreshes)
            if call.is_done:
                return call.end(None)
            with call:
                for _ in call.wait_for_lock():
                    _check_may_wait(function)
                    import asyncio

                    await asyncio.sleep(_POLL)
                return call.end(None if call.is_done or call.reuse() else await call.run())
        except PyreproError as error:
            raise without_inner_frames(error)  # noqa: B904

    def plain_function(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        try:
            call = PublishedCall(wrapper._naming, args, kwargs, refreshes=refreshes)
            if call.is_done:
                return call.end(None)
            with call:
                for _ in call.wait_for_lock():
                    _check_may_wait(function)
                    time.sleep(_POLL)
                return call.end(None if call.is_done or call.reuse() else call.run())
        except PyreproError as error:
            raise without_inner_frames(error)  # noqa: B904

    wrapper = coroutine_function if inspect.iscoroutinefunction(function) else plain_function
    return wrapper


def _check_may_wait(function: Callable[..., Any]) -> None:
    """Refuse to wait for a process that may wait for this one."""
    if is_importing_for_parent():
        call = f"{getattr(function, '__name__', 'function')}(...)"
        raise RuntimeError(
            f"{call} is being made by another process, and this one is still importing the program of its parent, "
            f"which may wait for it; call the function behind a main guard:\n\n"
            f'    if __name__ == "__main__":\n'
            f"        {call}\n"
        )
