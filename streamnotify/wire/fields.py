"""Field types that several public records share (SPEC section 2)."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any

from email_validator import EmailNotValidError
from pydantic import AfterValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from streamnotify.wire.addresses import ascii_address

NAME_LENGTH = 255  # characters, of names and ids
TEXT_LENGTH = 4096  # characters, of other strings


class _Identifier:
    """Schema of a string of at most 255 characters that may also be written as a JSON integer."""

    def __init__(self, min_length: int) -> None:
        self._min_length = min_length

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        length = f"{self._min_length} to" if self._min_length else "at most"
        text = core_schema.str_schema(strict=True, min_length=self._min_length, max_length=NAME_LENGTH)
        number = core_schema.no_info_after_validator_function(digits, core_schema.int_schema(strict=True))
        return core_schema.union_schema(
            [text, number],
            mode="left_to_right",
            custom_error_type="identifier",
            custom_error_message=f"a string of {length} {NAME_LENGTH} characters or an integer is allowed",
        )


class AnyCase:
    """Lets a JSON Schema accept every name of an enum in any letter case, as parsing does."""

    def __init__(self, *names: str) -> None:
        self._names = names

    def __get_pydantic_core_schema__(self, source: type[enum.StrEnum], handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.enum_schema(source, list(source), sub_type="str")

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        proper = handler(schema)
        return proper | {"anyOf": [{"enum": proper.pop("enum")}, {"pattern": _any_case(self._names)}]}


def _any_case(names: Iterable[str]) -> str:
    words = ("".join(f"[{letter.upper()}{letter.lower()}]" for letter in name) for name in sorted(names))
    return f"^({'|'.join(words)})$"


def digits(number: int) -> str:
    """An integer as an id.

    Raises:
        ValueError: if it has too many digits.
    """
    # Python refuses to print integers of thousands of digits with an error of its own.
    if abs(number) >= 10**NAME_LENGTH:
        raise ValueError("too many digits")
    return str(number)


def _address(email: str) -> str:
    try:
        return ascii_address(email)
    except EmailNotValidError as error:
        raise PydanticCustomError("address", "no e-mail address: {why}", {"why": str(error)}) from None


RequiredId = Annotated[str, _Identifier(1)]
OptionalId = Annotated[str, _Identifier(0)]  # empty is as good as absent
Name = Annotated[str, Field(max_length=NAME_LENGTH)]
Text = Annotated[str, Field(max_length=TEXT_LENGTH)]
Instant = Annotated[datetime, Field(description="RFC 3339; without a zone it is UTC.")]
Count = Annotated[int, Field(ge=1, le=2**31 - 1)]
Seconds = Annotated[float, Field(allow_inf_nan=False)]
Address = Annotated[str, Field(max_length=320), AfterValidator(_address)]
