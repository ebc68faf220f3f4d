"""Lines of keys in TOML files."""

from gapfit.config.toml_lines import line_of, scan


def test_lines_of_difficult_toml():
    text = '''\
# [data]
title = """
[data]
a = 1
"""
"quoted key" = 1  # b = 2
[a."b.c"] # ]
d.e = [
  "]", # [
  { x = 1 },
]
f = 2
[[t]]
[t.inner]
g = '#'
[[t]]
[t.inner]
g = 1
'''
    lines = scan(text)
    assert lines == {
        ("title",): 2,
        ("quoted key",): 6,
        ("a", "b.c"): 7,
        ("a", "b.c", "d"): 8,
        ("a", "b.c", "d", "e"): 8,
        ("a", "b.c", "f"): 12,
        ("t",): 13,
        ("t", 0): 13,
        ("t", 0, "inner"): 14,
        ("t", 0, "inner", "g"): 15,
        ("t", 1): 16,
        ("t", 1, "inner"): 17,
        ("t", 1, "inner", "g"): 18,
    }
    assert line_of(lines, ("a", "b.c", "d", "e", 1, "x")) == 8
    assert line_of(lines, ("nothing",)) is None
