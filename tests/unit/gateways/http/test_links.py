"""Who is a person, by what a browser says of a visit."""

from __future__ import annotations

import pytest

from heliograph.gateways.http.links import is_person

IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1"
)
ANDROID = (
    "Mozilla/5.0 (Linux; Android 14; SM-S918B) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/126.0.0.0 Mobile Safari/537.36"
)
TELEGRAM = f"{ANDROID} Telegram-Android/11.4.3 (Samsung SM-S918B; Android 14; SDK 34; HIGH)"
CUBOT = ANDROID.replace("SM-S918B", "CUBOT NOTE 30")
INSTAGRAM = f"{IPHONE} Instagram 330.0.0.0"
OPERA = "Opera/9.80 (Android; Opera Mini/36.2/191.308; U; ru) Presto/2.12.423 Version/12.16"


@pytest.mark.parametrize("agent", [IPHONE, ANDROID, TELEGRAM, CUBOT, INSTAGRAM, OPERA])
def test_people(agent: str) -> None:
    assert is_person("GET", {"user-agent": agent})
    tapped = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    assert is_person("GET", {"user-agent": agent, **tapped})


@pytest.mark.parametrize(
    "agent",
    [
        "",
        "curl/8.5.0",
        "WhatsApp/2.23.20.0 A",
        "TelegramBot (like TwitterBot)",
        "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)",
        "Mozilla/5.0 (compatible; vkShare; +http://vk.com/dev/Share)",
        "Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5",
        "Mozilla/5.0 (Macintosh) AppleWebKit/601.2.4 (KHTML) facebookexternalhit/1.1 Facebot",
        "Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/126.0.0.0 Safari/537.36",
        "Mozilla/5.0 Slackbot-LinkExpanding 1.0",
        "Viber/13.3.0.0 CFNetwork",
    ],
)
def test_robots(agent: str) -> None:
    assert not is_person("GET", {"user-agent": agent})


@pytest.mark.parametrize(
    "said",
    [
        {"purpose": "prefetch"},
        {"sec-purpose": "prefetch;prerender"},
        {"x-moz": "prefetch"},
        {"x-purpose": "preview"},
        {"sec-fetch-mode": "no-cors"},
        {"sec-fetch-dest": "image"},
    ],
)
def test_looks_ahead_of_a_wish(said: dict[str, str]) -> None:
    assert not is_person("GET", {"user-agent": ANDROID, **said})
    assert not is_person("HEAD", {"user-agent": ANDROID})
