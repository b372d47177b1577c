"""Answers that are hard to compare: for each topic, what is equal to a known answer and what isn't.

Each pair is (answer, known answer).
"""

from __future__ import annotations

__all__ = ["DIFFERENT", "EQUAL"]

EQUAL: dict[str, list[tuple[str, str]]] = {
    "intervals": [
        ("[-2, 7]", r"x \in [-2,7]"), (r"-2 \le x \le 7", r"x \in [-2,7]"), (r"\{x : -2 \le x \le 7\}", "[-2,7]"),
        (r"(-\infty, 2) \cup (3, \infty)", r"(3,\infty)\cup(-\infty,2)"),
        (r"(-\infty,2)\cup(3,+\infty)", r"(-\infty, 2) \cup (3, \infty)"),
        (r"x<2 \text{ or } x>3", r"(-\infty, 2) \cup (3, \infty)"),
        ("x > 3, x < 2", r"(-\infty, 2) \cup (3, \infty)"), (r"3<x\le 4", "(3,4]"), ("x>2", r"(2,\infty)"),
        ("2<x", r"(2,\infty)"), (r"(0,9)\cup(9,36)", r"(0,9) \cup (9,36)"),
        (r"\left(\frac{3}{5}, \frac{8}{3}\right]", "(0.6, 8/3]"), (r"(-\sqrt3,\sqrt3)", r"(-\sqrt{3}, \sqrt{3})"),
        (r"|x|<\sqrt3", r"(-\sqrt{3}, \sqrt{3})"), (r"(-\infty,0]", r"x \le 0"), (r"\mathbb{R}", r"(-\infty,\infty)"),
        (r"[2,3]\cup[3,4]", "[2,4]"),
    ],
    "sets and lists": [
        ("2, 4", r"\{4, 2\}"), (r"\{1,2,3\}", "3,2,1"), (r"1\pm\sqrt{19}", r"1+\sqrt{19},1-\sqrt{19}"),
        (r"\pm 3", "3,-3"), (r"x=3 \text{ or } x=-3", r"\pm 3"), ("x=3, x=-3", "-3, 3"), ("3 and -3", "-3, 3"),
        (r"3 \text{ and } -3", "-3, 3"), (r"\{-2, 1-\sqrt5, 1+\sqrt5\}", r"\{1\pm\sqrt{5},-2\}"),
        (r"\emptyset", r"\{\}"), (r"\varnothing", r"\emptyset"), ("3,5,7", r"\{3, 5, 7\}"), ("7, 5 and 3", "3, 5, 7"),
        (r"\{3\}", "3"), (r"3\pm2\sqrt2", r"3+2\sqrt2, 3-2\sqrt2"), (r"\{(1,2),(3,4)\}", "(3,4),(1,2)"),
        ("1,1,2", "1,2"),
    ],
    "fractions": [
        ("1/2", r"\frac{1}{2}"), (r"\tfrac12", "0.5"), (r"\frac{2}{4}", r"\frac12"),
        (r"-\frac{1}{2}", r"\frac{-1}{2}"), (r"\frac{1}{-2}", r"-\frac{1}{2}"), ("3/4", r"\frac 34"),
        (r"0.\overline{90}", r"\frac{10}{11}"), (r"0.\overline{3}", r"\frac13"), (r"0.1\overline{6}", r"\frac16"),
        (r"0.\bar{3}", r"\frac13"), (r"0.\overline{9}", "1"), (r"\frac{x+1}{2}", r"\frac{1}{2}(x+1)"),
        (r"\frac{\sqrt{3}}{3}", r"\frac{1}{\sqrt3}"), (r"\dfrac{17}{50}", "0.34"), ("17:50", r"\frac{17}{50}"),
        (r"{17\over 50}", r"\frac{17}{50}"), (r"\frac{3\sqrt3}4", r"\frac{3\sqrt{3}}{4}"),
        (r"\frac{11+9a}{20}", r"\frac{9a}{20}+\frac{11}{20}"), ("2^{-1}", "1/2"),
    ],
    "mixed numbers": [
        (r"1\frac45", r"1\frac{4}{5}"), ("9/5", r"1\frac{4}{5}"), ("1.8", r"1\frac{4}{5}"), (r"-1\frac12", "-1.5"),
        (r"2\frac{1}{3}", "7/3"), ("137 1/2", r"137 \frac{1}{2}"), (r"137\tfrac12", "137.5"),
    ],
    "units": [
        ("15", r"15\mbox{ cm}^2"), (r"15 \text{ cm}^2", r"15\mbox{ cm}^2"), (r"15\,\mathrm{cm}^2", r"15\mbox{ cm}^2"),
        ("15 square centimeters", r"15\mbox{ cm}^2"), (r"150000\text{ cm}^2", r"15\text{ m}^2"),
        ("2 hours", "120 minutes"), (r"12\pi\text{ cm}", r"12\pi"), (r"6\sqrt2\text{ m}", r"6\sqrt{2}"),
        (r"6\sqrt2 \text{ units}", r"6\sqrt{2}"), (r"3 \text{ ft}", r"36 \text{ in}"), ("5 apples", "5"),
        ("3 dozen", "36"), ("36 inches", "1 yard"), (r"6\sqrt2\text{ km}", r"6000\sqrt{2}\text{ m}"),
        (r"\frac{1}{2}\text{ hour}", r"30\text{ minutes}"), (r"100\text{ mL}", r"0.1\text{ L}"),
    ],
    "percent": [
        (r"50\%", "0.5"), ("50%", "1/2"), ("50", r"50\%"), (r"0.5\%", "0.5"), (r"33\frac13\%", r"\frac13"),
        (r"33\frac13 \%", r"33.333333\%"), (r"150\%", "1.5"), ("12.5 percent", r"12.5\%"), (r"5000\%", "50"),
        (r"100\%", "1"),
    ],
    "currency": [
        (r"\$36", "36"), ("$36$", r"\$36"), ("36 dollars", r"\$36"), (r"\$36.00", r"\$36"), ("3600 cents", r"\$36"),
        (r"\$18.9", r"\$18.90"), (r"\$1{,}250", "1250"), (r"\$1.8 \text{ million}", "1800000"),
        (r"\text{\$}36", r"\$36"), ("€36", "36"),
    ],
    "words and letters": [
        ("Evelyn", r"\text{Evelyn}"), ("evelyn", r"\text{Evelyn}"), (r"\textbf{Evelyn}", r"\text{Evelyn}"),
        (r"\text{an ellipse}", r"\text{ellipse}"), ("(C)", r"\text{(C)}"), ("C", r"\text{(C)}"),
        (r"\text{C}", r"\text{(C)}"), (r"\textbf{(C)}", r"\text{(C)}"), (r"(C)\ 12", r"\text{(C)}"),
        ("even", r"\text{even}"), ("east", r"\text{east}"), ("yes", r"\text{Yes}"), ("true", r"\text{True}"),
        (r"\text{Navin}", "Navin"), ("the parabola", r"\text{parabola}"), ("ellipse.", r"\text{ellipse}"),
    ],
    "degrees": [
        ("90", r"90^\circ"), (r"90^{\circ}", r"90^\circ"), ("90°", r"90^\circ"), ("90 degrees", r"90^\circ"),
        (r"90\text{ degrees}", r"90^\circ"), (r"\frac{\pi}{6}", r"30^\circ"), (r"30^\circ", r"\frac{\pi}{6}"),
        (r"\angle A = 30^\circ", r"30^\circ"), (r"x = 30^\circ", "30"),
        (r"\frac{270}{7}", r"\frac{270}7\text{ degrees}"), (r"90\degree", r"90^\circ"),
        (r"\frac{\pi}{6}\text{ radians}", r"\frac{\pi}{6}"), (r"\pi", r"180^\circ"),
    ],
    "matrices and vectors": [
        (r"\begin{bmatrix}1&2\\3&4\end{bmatrix}", r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}"),
        (r"\begin{pmatrix}0.2\\-3.6\end{pmatrix}", r"\begin{pmatrix} 1/5 \\ -18/5 \end{pmatrix}"),
        (r"\begin{pmatrix}\frac15\\-\frac{18}{5}\end{pmatrix}", r"\begin{pmatrix} 1/5 \\ -18/5 \end{pmatrix}"),
        (r"\begin{pmatrix}-1&0\\0&-1\end{pmatrix}", r"-\begin{pmatrix}1&0\\0&1\end{pmatrix}"),
        (
            r"\frac{1}{49}\begin{pmatrix}16\\48\\24\end{pmatrix}",
            r"\begin{pmatrix} 16/49 \\ 48/49 \\ 24/49 \end{pmatrix}",
        ),
        ("(-2,-14,-7)", r"\begin{pmatrix} -2 \\ -14 \\ -7 \end{pmatrix}"),
        (r"\langle -2,-14,-7\rangle", r"\begin{pmatrix} -2 \\ -14 \\ -7 \end{pmatrix}"),
        (r"\begin{vmatrix}1&2\\3&4\end{vmatrix}", "-2"),
        (r"\left[\begin{array}{cc}1&2\\3&4\end{array}\right]", r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}"),
        (r"\begin{pmatrix}1\\2\end{pmatrix}", "(1,2)"),
    ],
    "ordered pairs": [
        ("(3,4)", "(3, 4)"), ("3,4", "(3,4)"), (r"\left(\frac32,-13\right)", r"\left( \frac{3}{2}, -13 \right)"),
        (r"(3,\pi/2)", r"\left( 3, \frac{\pi}{2} \right)"), (r"(3,90^\circ)", r"\left( 3, \frac{\pi}{2} \right)"),
        ("(x,y)=(15,-29)", "(15,-29)"), ("x=15, y=-29", "(15,-29)"), ("(1,-16,-4,43)", "(1, -16, -4, 43)"),
        (r"\langle 3,4\rangle", "(3,4)"), ("(3;4)", "(3,4)"), (r"(\sqrt{4},2^2)", "(2,4)"), ("x=1, y=2", "y=2, x=1"),
    ],
    "pi and radicals": [
        (r"\pi", "3.14159265"), (r"2\sqrt{5}", r"\sqrt{20}"), (r"2\sqrt5", r"2 \sqrt{5}"),
        (r"\sqrt{5}2", r"2\sqrt{5}"), (r"\sqrt[3]{8}", "2"), (r"18+2\pi", r"2(\pi+9)"),
        (r"\frac{20000}{\pi}", r"\frac{20000\pi}{\pi^2}"), (r"11\sqrt5+11", r"11(1+\sqrt{5})"), ("12π", r"12\pi"),
        ("12pi", r"12\pi"), ("12 pi", r"12\pi"), ("2*pi", r"2\pi"), ("sqrt(5)", r"\sqrt{5}"),
        ("2sqrt(5)", r"2\sqrt{5}"), ("√5", r"\sqrt{5}"), ("2√5", r"2\sqrt5"), ("2√13", r"2\sqrt{13}"),
        ("2^0.5", r"\sqrt2"), ("5^{1/2}", r"\sqrt5"), (r"\frac{\sqrt{21}}{5}", r"\sqrt{\frac{21}{25}}"),
        (r"\sqrt{5+2\sqrt6}", r"\sqrt{2}+\sqrt{3}"), (r"e^{i\pi}", "-1"), (r"\cot x", r"\frac{\cos x}{\sin x}"),
        (r"\cot(x)", r"\cot x"),
    ],
    "thousands separators": [
        ("10,080", r"10,\!080"), ("10080", r"10,\!080"), ("10 080", r"10,\!080"), (r"10\,080", "10080"),
        ("10{,}080", "10080"), ("1,000,000", "1000000"), ("11{,}111{,}111{,}100", r"11,\! 111,\! 111,\! 100"),
    ],
    "wrapping": [
        (r"\text{42}", "42"), (r"\mathbf{42}", "42"), (r"\boxed{42}", "42"), ("$42$", "42"), (r"\(42\)", "42"),
        ("42.", "42"), ("42.0", "42"), ("+42", "42"), ("042", "42"), ("{42}", "42"), ("(42)", "42"),
        ("\u221242", "-42"),
        ("- 42", "-42"), ("42 ", "42"),
    ],
    "bases": [
        ("52_8", "52_{8}"), ("52", "52_8"), (r"52_{\text{eight}}", "52_8"), ("52_8", "52"), ("101_2", "5"),
        ("2516_{8}", "2516_8"), ("(52)_8", "52_8"), ("52 base 8", "52_8"), ("52_{(8)}", "52_8"),
        (r"52_8\text{ }", "52_8"), ("40_9", "40"), ("40_9", "36"), (r"\text{A7}_{12}", "A7_{12}"), ("52_{10}", "52"),
    ],
    "equations": [
        ("5", "x=5"), ("x=5", "5"), ("x = 5", "x=5"), ("y=2x+3", "y = 2x + 3"), ("2x+3", "y = 2x + 3"),
        ("y-2x=3", "y = 2x + 3"), ("2y=4x+6", "y = 2x + 3"), ("5x-7y+11z+4=0", "5x - 7y + 11z + 4 = 0"),
        ("-5x+7y-11z-4=0", "5x - 7y + 11z + 4 = 0"), ("10x-14y+22z+8=0", "5x - 7y + 11z + 4 = 0"),
        ("5x-7y+11z=-4", "5x - 7y + 11z + 4 = 0"), ("-2x", "y = -2x"), ("y = -2x", "-2x"), ("f(x)=2x+3", "2x+3"),
        ("2x+3", "f(x)=2x+3"), ("x^2+y^2=1", "1"), ("2+3=5", "5"), ("a=b=3", "3"), ("n=5", "5"),
        (r"\theta=\frac{\pi}{6}", r"\frac{\pi}{6}"), ("x_1=3", "3"), ("AB=5", "5"), (r"P(A)=\frac12", r"\frac{1}{2}"),
        (r"m\angle ABC=30^\circ", r"30^\circ"), ("x^2+y^2=1", "y^2+x^2=1"), ("y=x", "x=y"), (r"x=\pm 3", r"\pm3"),
        ("x^2=4", "4"), ("a+b=0", "0"),
    ],
    "expressions": [
        (r"\frac{1}{2}e^{x} 16", "8e^x"), (r"\frac{1}{2}e^{x} 2.5", r"\frac{5}{4}e^x"),
        ("3R^2", "3r^2"), ("Rr", "rR"), ("(b+2)(a+5)", "(a+5)(b+2)"), ("ab+2a+5b+10", "(a+5)(b+2)"),
        ("2k+2", "2(k+1)"), ("5r^5", "5*r^5"), ("6r^2-4r-24", "-24-4r+6r^2"), ("-12i+1", "1 - 12i"),
        ("2^{10}", "1024"), ("10!", "3628800"), (r"\binom{5}{2}", "10"), (r"\binom52", "10"), (r"\log_2 8", "3"),
        (r"\ln e", "1"), (r"3\times4", "12"), (r"3 \cdot 10^8", "300000000"), ("3e8", "300000000"),
        (r"1.5\times10^{-3}", "0.0015"), (r"+\infty", r"\infty"), ("undefined", r"\text{undefined}"), ("i^2", "-1"),
        ("(1+i)^2", "2i"), (r"\frac{1}{i}", "-i"),
    ],
    "congruences": [
        (r"n \equiv 3 \pmod 7", r"3 \pmod{7}"), (r"10 \pmod 7", r"3 \pmod{7}"), ("3", r"3 \pmod{7}"),
        (r"3 \pmod{7}", "3"), (r"3\bmod 7", r"3 \pmod{7}"), (r"x\equiv 3\mod 7", r"x \equiv 3 \pmod{7}"),
    ],
    "small numbers, ratios and times": [
        ("2:3", "2/3"), ("1:2:3", "1:2:3"), ("6:4", "3:2"), ("10:30", r"10:30 \text{ a.m.}"),
        (r"6.72 \times 10^{-5}", ".0000672"), ("4.5", "4.50"), ("3.21", "3.210"), (".35625", "0.35625"),
        (r"\frac{57}{160}", ".35625"),
    ],
}  # fmt: skip

DIFFERENT: dict[str, list[tuple[str, str]]] = {
    "intervals": [
        (r"(-\infty, 2] \cup [3, \infty)", r"(-\infty, 2) \cup (3, \infty)"), ("(3,4)", "(3,4]"), ("[3,4]", "(3,4]"),
        ("(3,4]", "(3,5]"), ("3<x<4", "(3,4]"), (r"x \ge 2", r"(2,\infty)"), ("x>3", r"(2,\infty)"),
        ("(0,36)", r"(0,9) \cup (9,36)"),
        (r"\left[\frac{3}{5},\frac{8}{3}\right]", r"\left(\frac{3}{5},\frac{8}{3}\right]"),
        (r"[-\sqrt3,\sqrt3]", r"(-\sqrt{3}, \sqrt{3})"), (r"(-\infty,0)", r"(-\infty, 0]"),
        (r"x\in(2,3)\setminus\{2.5\}", "(2,3)"), (r"[2,3)\cup(3,4]", "[2,4]"),
    ],
    "sets and lists": [
        ("1,2", "1,2,3"), (r"\{1,2\}", "(1,2)"), (r"\{1,2\}", "[1,2]"), (r"1\pm\sqrt{19}", r"1+\sqrt{19}"),
        (r"1+\sqrt{19}", r"1\pm\sqrt{19}"), (r"\pm 3", "3"), ("3", r"\pm 3"),
        (r"1\pm\sqrt{5}", r"\{1\pm\sqrt{5},-2\}"), (r"\{0\}", r"\emptyset"), ("(1,2),(4,3)", "(1,2),(3,4)"),
        ("(1,2)", "(1,2),(3,4)"),
    ],
    "fractions": [
        (r"\frac{1}{2}", r"\frac{2}{1}"), (r"\frac{10}{11}", "0.909"), (r"0.\overline{3}", "0"),
        (r"0.\overline{3}", "0.3"), ("0.9", r"0.\overline{9}"), (r"\frac{11+9a}{20}", r"\frac{9a}{20}+11"),
    ],
    "mixed numbers": [
        (r"1\cdot\frac{4}{5}", r"1\frac{4}{5}"), ("4/5", r"1\frac{4}{5}"), (r"-1\frac12", "-0.5"),
        (r"2\frac{1}{3}", "2/3"),
    ],
    "units": [
        (r"15 \text{ cm}", r"15\mbox{ cm}^2"), (r"15 \text{ m}^2", r"15\mbox{ cm}^2"), ("2 hours", "2 minutes"),
        (r"12\pi \text{ cm}", r"12\pi \text{ inches}"), (r"6\sqrt2\text{ m}", r"6\sqrt{2} \text{ km}"),
        ("5 apples", "5 oranges"), (r"10\text{ km/h}", r"10\text{ m/s}"),
        (r"864\text{ in}^3", r"864 \mbox{ inches}^2"), (r"16\sqrt3 \text{ cm}^2", r"16\sqrt{3} \text{ cm}"),
    ],
    "percent": [
        (r"0.5\%", r"50\%"), (r"33.3\%", "1/3"), (r"25\%", "2.5"),
    ],
    "currency": [
        ("36 cents", r"\$36"), ("€36", r"\$36"), ("£36", r"\$36"),
    ],
    "words and letters": [
        ("Briana", r"\text{Evelyn}"), ("hyperbola", r"\text{ellipse}"), ("B", r"\text{(C)}"),
        ("(B) or (C)", r"\text{(C)}"), ("(C) or (B)", r"\text{(C)}"), ("B, C", r"\text{(C)}"),
        ("odd", r"\text{even}"), ("neither", r"\text{even}"), ("west", r"\text{east}"), ("no", r"\text{Yes}"),
        ("Monday", r"\text{Tuesday}"), ("not even", r"\text{even}"),
    ],
    "degrees": [
        (r"91^\circ", r"90^\circ"), ("30", r"\frac{\pi}{6}"), (r"\frac{\pi}{3}", r"30^\circ"),
        (r"30^\circ\text{C}", r"30^\circ\text{F}"), ("3.14159", r"180^\circ"),
    ],
    "matrices and vectors": [
        (r"\begin{pmatrix}1&2\\3&5\end{pmatrix}", r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}"),
        (r"\begin{pmatrix}1&3\\2&4\end{pmatrix}", r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}"),
        (r"\begin{pmatrix}1/5&-18/5\end{pmatrix}", r"\begin{pmatrix} 1/5 \\ -18/5 \end{pmatrix}"),
        ("(-2,-14,7)", r"\begin{pmatrix} -2 \\ -14 \\ -7 \end{pmatrix}"),
        (r"\begin{pmatrix} -2 \\ -14 \\ -7 \\ 0\end{pmatrix}", r"\begin{pmatrix} -2 \\ -14 \\ -7 \end{pmatrix}"),
        (r"\begin{vmatrix}1&2\\3&4\end{vmatrix}", r"\begin{pmatrix}1&2\\3&4\end{pmatrix}"),
        (r"\begin{pmatrix}1\\2\end{pmatrix}", "(2,1)"), (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\{1,2\}"),
        ("5", r"\begin{pmatrix} 5 \\ 5 \end{pmatrix}"),
    ],
    "ordered pairs": [
        ("(4,3)", "(3,4)"), ("(3,4,5)", "(3,4)"), ("4,3", "(3,4)"), (r"(3,\pi)", r"\left( 3, \frac{\pi}{2} \right)"),
        ("x=-29, y=15", "(15,-29)"), ("x=1, y=2", "x=2, y=1"),
    ],
    "pi and radicals": [
        (r"\pi", "3.14"), ("22/7", r"\pi"), (r"5\sqrt2", r"2\sqrt5"), (r"\sqrt{3}", r"-\sqrt{3}"), (r"\sqrt{5}", "5"),
        (r"12\pi", "12"), (r"7\pi", r"8 \pi"), (r"288\pi", r"288 \pi^2"), (r"1+2\sqrt{3}", r"3\sqrt3"),
        (r"\sqrt{2}+\sqrt{3}", r"\sqrt{5}"), (r"\cot x", r"\tan x"),
    ],
    "thousands separators": [
        ("10.080", "10080"), ("10,80", "1080"), ("1,2,3", "123"),
    ],
    "wrapping": [
        ("42.5", "42"), ("4 2", "42"),
    ],
    "bases": [
        ("52_9", "52_8"), ("42", "52_8"), ("4343_6", "4343_7"), ("36", "40_9"), (r"52_{\text{nine}}", "52_8"),
        ("2A_{16}", "52_8"),
    ],
    "equations": [
        ("y=5", "x=5"), ("6", "x=5"), ("y=2x-3", "y = 2x + 3"), ("x = 2y+3", "y = 2x + 3"),
        ("5x-7y+11z=4", "5x - 7y + 11z + 4 = 0"), ("0", "5x - 7y + 11z + 4 = 0"), ("5x - 7y + 11z + 4 = 0", "0"),
        ("5x - 7y + 11z + 4", "5x - 7y + 11z + 4 = 0"), ("1", "x^2+y^2=1"), ("x^2+y^2=1", "x^2+y^2=2"),
        ("x=3", r"\pm 3"), ("x=3y", "y=3x"),
    ],
    "expressions": [
        (r"\frac{1}{2}e^{x} 16", "3e^x"),
        ("R+r", "2r"), (r"2\pi^2R^2r", r"2\pi^2Rr^2"), ("(a+5)(b-2)", "(a+5)(b+2)"), ("2k", "2"), ("2", "2k"),
        ("k", "2k"), ("2k+2", "2k+1"), ("5r^5", "(5r)^5"), ("8n^2+4n+1", "8n^2+4n-1"), ("x^2", "y^2"), ("p-q", "q-p"),
        ("1-12i", "1+12i"), ("6-5i", "6-5j"), ("i", "1"), ("3 x 4", "12"), ("2^{3}4", "2^{34}"), ("7n", "7"),
        (r"\infty", r"-\infty"), ("0", r"\text{undefined}"),
    ],
    "congruences": [
        (r"3 \pmod 7", "7"), (r"n \equiv 3 \pmod 7", "7"), (r"3 \pmod 8", r"3 \pmod{7}"), ("4", r"3 \pmod{7}"),
    ],
    "small numbers, ratios and times": [
        ("0.0000001", "0.0000002"), (r"10^{-7}\sqrt2", r"2\cdot10^{-7}\sqrt2"), ("2:3", "3:2"), ("1:2:3", "1:3:2"),
        ("10:30 am", "10:30 pm"), ("1e-5", "1e-6"),
    ],
}  # fmt: skip
