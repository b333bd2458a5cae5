"""JSON bodies: of bounded size, and refused with the place of the error."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import IO, Any, NoReturn

from django.conf import settings
from django.utils.translation import gettext as _
from rest_framework.parsers import BaseParser

from portal.api.problems import Problem


class BoundedJSONParser(BaseParser):
    """Decodes at most DATA_UPLOAD_MAX_MEMORY_SIZE bytes of UTF-8 JSON (RFC 8259)."""

    media_type = "application/json"

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        """Raises Problem: body-too-large, malformed-json."""
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        body = stream.read(limit + 1)
        if len(body) > limit:
            raise Problem("body-too-large", _("A body may have at most %d bytes.") % limit)
        return decode_json(body)


def decode_json(body: bytes) -> Any:
    """The value of a JSON text. Raises Problem with the line, the column and the offset of the first error."""
    try:
        value = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
        # Half a surrogate pair is a valid escape in JSON and no valid text anywhere else.
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except json.JSONDecodeError as error:
        position = {"line": error.lineno, "column": error.colno, "offset": error.pos}
        where = _("%(message)s at line %(line)d, column %(column)d.") % {"message": error.msg, **position}
        raise Problem("malformed-json", where, extra={"position": position}) from error
    except UnicodeDecodeError as error:
        where = _("Byte %d is not valid UTF-8.") % error.start
        raise Problem("malformed-json", where, extra={"position": {"offset": error.start}}) from error
    except UnicodeEncodeError as error:
        raise Problem("malformed-json", _("A text contains half a surrogate pair.")) from error
    except RecursionError as error:
        raise Problem("malformed-json", _("The values are nested too deeply.")) from error
    except ValueError as error:
        # Python refuses whole numbers of more than some thousand digits.
        raise Problem("malformed-json", _("A number is too long, or is not a number.")) from error
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)
