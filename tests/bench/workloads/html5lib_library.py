"""Real pure-Python library: html5lib tree building."""
import html5lib

from contract import run

ROW = "<tr class=\"r{0}\"><td>{0}</td><td><a href='/x?id={0}&amp;q=1'>link <b>{0}</b></a></td><td><!-- c -->text &lt; {0}</td></tr>"
DOC = ("<!DOCTYPE html><html><head><title>t</title></head><body><h1>Hi</h1><table>"
       + "".join(ROW.format(i) for i in range(10)) + "</table><p>para<br>two<ul><li>1<li>2</ul></body></html>")


def count(el):
    n = 1
    for c in el:
        n += count(c)
    return n


def work(n):
    tot = 0
    for _ in range(n):
        tot += count(html5lib.parse(DOC))
    return tot


run(work, 600)
