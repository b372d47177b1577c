"""How well a place in a chain of thought separates two thoughts.

A segment that ends in the middle of a thought is the method's known weakness: its summary has to carry a half-done
step. The score of a place comes from how the next unit begins and from what the unit before has completed.
"""

# ruff: noqa: RUF001 - the marks of many scripts are what this module is about

from __future__ import annotations

import re

__all__ = ["THOUGHT", "thought_score"]

THOUGHT = 0.5
"""The score from which on a place counts as the end of a thought."""

_MARKUP = r"(?:[*_>\"“]+[ \t]*)?"
_OPENING = re.compile(
    rf"(?P<heading>\#{{1,6}}[ \t]|(?:-{{3,}}|\*{{3,}}|_{{3,}}|={{3,}})[ \t]*(?:\n|\Z)"
    rf"|\*\*[^*\n]{{1,80}}\*\*:?[ \t]*(?:\n|\Z)"
    rf"|{_MARKUP}(?:Step|Case|Part|Method|Approach|Option|Attempt)[ ](?:\d{{1,3}}|[A-Z]|[IVX]{{1,4}}|[a-z]{{3,6}})\b"
    r"|第[一二三四五六七八九十\d]{1,3}[步种个])"
    # A turn: the thought before is over, whatever it came to.
    rf"|{_MARKUP}(?:(?P<turn>(?i:wait|hold[ ]on|hang[ ]on|alternatively|hmm*|actually|no,|oh|ah|(?:but|oh),?[ ]wait)\b"
    r"|(?i:let(?:[ ]me|['’]s|[ ]us))[ ](?:just[ ]|now[ ]|quickly[ ])?(?:double|check|verify|confirm|test|try|think"
    r"|re[a-z-]+|start[ ]over|go[ ]back|step[ ]back|see[ ]if|make[ ]sure|look[ ]at[ ]it)"
    r"|Another[ ](?:way|approach|idea|method|thought|possibility|option|angle)|On[ ]second[ ]thought"
    r"|(?:Going|Looking|Coming)[ ]back|To[ ](?:double-?check|verify|confirm)"
    r"|(?:Maybe|Perhaps)[ ]I(?:['’]m|[ ](?:made|should|can|need|could|mis))"
    r"|等等|等一下|等下|稍等|不对|且慢|另外|或者|换[一种个]|让我(?:再|们)?(?:检查|验证|核对|确认|重新|试|想|看)"
    r"|嗯|哦|ちょっと待|待って|待てよ|あるいは|別の|確認|もう一度|念のため|잠깐|아니면|다시)"
    # A step forward: the next thing begins.
    r"|(?P<step>(?:Now|Next|Okay|OK|Alright|All[ ]right|First|Firstly|Second|Secondly|Third|Finally|Lastly|However"
    r"|Moving[ ]on|In[ ]summary|To[ ](?:find|compute|solve|summarize|prove)|Let[ ]me|Let['’]s|Similarly|Suppose"
    r"|Consider|Assume|Maybe|Perhaps)\b|现在|接下来|首先|其次|然后|最后|好的|好，|总之|次に|さて|まず|最後に|이제|다음)"
    r"|(?P<soft>(?:But|So)\b|但|不过|所以|那么|しかし|では|하지만)"
    # A consequence: what came before is still being used.
    r"|(?P<goes_on>(?:Therefore|Thus|Hence|Which|Where|That[ ]is|And)\b|因此|故|即|したがって|よって|따라서))"
)
_OPENING_SCORES = {"heading": 1.0, "turn": 1.0, "step": 0.65, "soft": 0.5, "goes_on": -0.5}
_CONCLUDES = re.compile(
    rf"{_MARKUP}(?:Therefore|Thus|Hence|So,?[ ](?:the|we|that|this)|In[ ]conclusion|Finally"
    r"|因此|所以|故|综上|したがって|よって|ゆえに|따라서)"
)
_SETTLED = re.compile(
    r"(?:\b(?:works|checks[ ]out|correct|matches|consistent|contradiction|as[ ]required|QED|done)|[∎□■]|正确|成立|矛盾)"
    r"[.!。！)]*+\Z"
)
_HEADING = re.compile(r"#{1,6}[ \t][^\n]*\Z|\*\*[^*\n]{1,80}\*\*:?\Z")
_BOXED, _NEARBY = "\\boxed{", 200


def _completed(text: str, begin: int, end: int) -> float:
    """How much the unit ``text[begin:end]`` completes a derivation."""
    if text.find(_BOXED, max(begin, end - _NEARBY), end) >= 0:
        return 0.7
    if _SETTLED.search(text, max(begin, end - 24), end) or _CONCLUDES.match(text, begin, end):
        return 0.4
    return 0.0


def thought_score(text: str, begin: int, end: int, start: int) -> float:
    """How well the gap between a unit and the next one separates two thoughts.

    Args:
        text: the chain.
        begin: start of the unit before the gap.
        end: end of that unit.
        start: start of the unit after the gap, at most ``len(text) - 1``.

    Returns:
        Between -0.5 (the two belong together) and 1 (a new thought begins). :data:`THOUGHT` and more is the end of one.
    """
    opening = _OPENING.match(text, start)
    opened = _OPENING_SCORES[opening.lastgroup or ""] if opening else 0.0
    # A heading or "as follows:" belongs to what comes after it.
    if text[end - 1] in ":：,，" or (text[begin] in "#*" and _HEADING.match(text, begin, end)):
        return -0.5
    if opened < 0:
        return opened
    return 1 - (1 - opened) * (1 - _completed(text, begin, end))
