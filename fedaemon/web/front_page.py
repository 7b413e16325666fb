"""The page for people: a form that gives an Apple profile, and the settings to type into any other program.

Plain HTML without scripts, English or Russian as the browser asks.

Invariants: nothing of a request stands in the page.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from typing import Final

from fedaemon.web import apple
from fedaemon.web.advertised import Advertised
from fedaemon.web.exchange import HTML, Answer, Asked
from fedaemon.web.offer import Offer


@dataclass(frozen=True, slots=True)
class Words:
    """What the page says in one language."""

    code: str
    title: str
    intro: str
    apple: str
    apple_hint: str
    address: str
    protocol: str
    button: str
    manual: str
    service: str
    server: str
    port: str
    security: str
    login: str
    services: tuple[str, str, str]
    implicit: str
    nothing: str


ENGLISH: Final = Words(
    code="en",
    title="Mail settings",
    intro="Most programs find these settings by themselves: type your address and your password.",
    apple="iPhone, iPad and Mac",
    apple_hint="Open the file that you get and install the profile in Settings, which asks for your password.",
    address="Your address",
    protocol="Mail stays on the server (IMAP), or is fetched from it (POP3)",
    button="Get the profile",
    manual="Settings to type in",
    service="For",
    server="Server",
    port="Port",
    security="Security",
    login="User name: your whole address. Authentication: normal password.",
    services=("Reading (IMAP)", "Reading (POP3)", "Sending (SMTP)"),
    implicit="SSL/TLS",
    nothing="This server offers nothing to mail programs yet.",
)

RUSSIAN: Final = Words(
    code="ru",
    title="Настройки почты",
    intro="Большинство программ находит эти настройки само: достаточно ввести адрес и пароль.",
    apple="iPhone, iPad и Mac",
    apple_hint="Откройте полученный файл и установите профиль в «Настройках». Пароль система спросит сама.",
    address="Ваш адрес",
    protocol="Письма остаются на сервере (IMAP) или забираются с него (POP3)",
    button="Получить профиль",
    manual="Если настраивать вручную",
    service="Для чего",
    server="Сервер",
    port="Порт",
    security="Защита",
    login="Имя пользователя — адрес целиком. Проверка подлинности — обычный пароль.",
    services=("Чтение (IMAP)", "Чтение (POP3)", "Отправка (SMTP)"),
    implicit="SSL/TLS",
    nothing="Почтовым программам этот сервер пока ничего не предлагает.",
)

STYLE: Final = (
    "body{font:1em/1.5 system-ui,sans-serif;max-width:42em;margin:2em auto;padding:0 1em;"
    "color:#222;background:#fff}"
    "table{border-collapse:collapse;width:100%}"
    "th,td{text-align:left;padding:.4em .6em;border-bottom:1px solid #ccc}"
    "label,input,select{display:block;width:100%;box-sizing:border-box;font:inherit}"
    "input,select{margin:.2em 0 .8em;padding:.5em}button{font:inherit;padding:.5em 1em}"
    "@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}}"
)

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'sha256-"
    + b64encode(sha256(STYLE.encode()).digest()).decode()
    + "'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Vary": "Accept-Language",
}

_RANK: Final = {"imap": 0, "pop3": 1, "submission": 2}


async def front_page(asked: Asked, offer: Offer) -> Answer:
    """Answer with the page."""
    words = preferred(asked.headers.get("accept-language", ""))
    return Answer(200, document(words, offer).encode(), HTML, {**HEADERS, "Content-Language": words.code})


def preferred(accepted: str) -> Words:
    """Return the language that comes first in an Accept-Language field, as browsers write it; else English."""
    for entry in accepted.split(",")[:20]:
        language = entry.partition(";")[0].strip().lower()
        if language == "ru" or language.startswith("ru-"):
            return RUSSIAN
        if language == "en" or language.startswith("en-"):
            return ENGLISH
    return ENGLISH


def document(words: Words, offer: Offer) -> str:
    """Return the page as HTML."""
    body = _settings(words, offer) if offer.places else f"<p>{words.nothing}</p>"
    return (
        f'<!DOCTYPE html>\n<html lang="{words.code}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{words.title}: {escape(offer.hostname)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{words.title}</h1>\n{body}\n</body>\n</html>\n"
    )


def _settings(words: Words, offer: Offer) -> str:
    titles = (words.service, words.server, words.port, words.security)
    head = "".join(f'<th scope="col">{title}</th>' for title in titles)
    rows = "".join(_row(words, place) for place in offer.places)
    return (
        f"<p>{words.intro}</p>\n{_form(words, offer)}<h2>{words.manual}</h2>\n"
        f"<table>\n<tr>{head}</tr>\n{rows}</table>\n<p>{words.login}</p>"
    )


def _form(words: Words, offer: Offer) -> str:
    options = "".join(
        f'<option value="{service}">{service.upper()}</option>'
        for service in ("imap", "pop3")
        if _has(offer, service)
    )
    if not options or not _has(offer, "submission"):
        return ""
    return (
        f'<h2>{words.apple}</h2>\n<form action="{apple.PATH}" method="get">\n'
        f'<label>{words.address} <input type="email" name="email" autocomplete="email" required></label>\n'
        f'<label>{words.protocol} <select name="protocol">{options}</select></label>\n'
        f"<button>{words.button}</button>\n</form>\n<p>{words.apple_hint}</p>\n"
    )


def _has(offer: Offer, service: str) -> bool:
    return any(place.service == service for place in offer.places)


def _row(words: Words, place: Advertised) -> str:
    security = words.implicit if place.tls == "implicit" else "STARTTLS"
    cells = (words.services[_RANK[place.service]], escape(place.host), place.port, security)
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>\n"
