//! What `origin` answers about the variables of `chains.py` and `edges.py`, the same on every
//! Python.

use dashcam_tests::{Python, Recording, program, run_with_input, text};

const QUESTIONS: &[(u32, &str, &str)] = &[
    (65, "one", "one = 10  chains.py:62 given
         v9 = 10  chains.py:156 main
         LIMIT = 10  chains.py:5 <module>
         literal 10  chains.py:5 <module>"),
    (65, "two", "two = 10  chains.py:63 given
         LIMIT = 10  chains.py:5 <module>
         literal 10  chains.py:5 <module>"),
    (65, "three", "three = 'k'  chains.py:64 given
         argument key = 'k'  chains.py:61 given
         default of key  chains.py:61 given"),
    (75, "got", r#"got = 'hi'  chains.py:74 outer
         inner returns 'hi'  chains.py:70 inner
         answer = 'hi'  chains.py:69 inner
         argument word = 'hi'  chains.py:68 inner
         literal "hi"  chains.py:74 outer"#),
    (94, "d", "d = 5  chains.py:93 plain
         c = 5  chains.py:92 plain
         b = 5  chains.py:91 plain
         a = 5  chains.py:90 plain
         argument start = 5  chains.py:89 plain
         literal 5  chains.py:144 main"),
    (94, "c", "c = 7  chains.py:93 plain
         d = 7  chains.py:92 plain
         literal 7  chains.py:92 plain"),
    (94, "b", "b = 5  chains.py:91 plain
         a = 5  chains.py:90 plain
         argument start = 5  chains.py:89 plain
         literal 5  chains.py:144 main"),
    (102, "best", "best = 10  chains.py:101 loops
         price = 10  chains.py:99 loops
         prices[1] = 10  chains.py:177 main
         v9 = 10  chains.py:156 main
         LIMIT = 10  chains.py:5 <module>
         literal 10  chains.py:5 <module>"),
    (102, "price", "price = 5  chains.py:99 loops
         prices[2] = 5  chains.py:177 main
         literal 5  chains.py:177 main"),
    (110, "kept", "kept = ValueError('no')  chains.py:109 caught
         error = ValueError('no')  chains.py:108 caught
         raised: ValueError  chains.py:86 fail"),
    (116, "value", "value = 14  chains.py:115 receiver
         Order.add returns 14  chains.py:18 Order.add
         self.total = 14  chains.py:17 Order.add
         computed: self.total + price * times  chains.py:17 Order.add
             self.total = 6
             price = 4
             times = 2"),
    (122, "last", "last = 20  chains.py:121 comprehended
         computed: [value * 2 for value in values]  chains.py:120 comprehended"),
    (122, "doubled", "doubled = [2, 20]  chains.py:120 comprehended
         made by [value * 2 for value in values]  chains.py:120 comprehended"),
    (134, "before", "before = 3  chains.py:132 nested
         inside = 3  chains.py:126 nested
         argument number = 3  chains.py:125 nested
         literal 3  chains.py:181 main"),
    (134, "inside", "inside = 4  chains.py:130 nested.<locals>.change
         computed: number + 1  chains.py:130 nested.<locals>.change
             number = 3"),
    (140, "chosen", "chosen = 10  chains.py:138 choose
         argument right = 10  chains.py:137 choose
         v9 = 10  chains.py:156 main
         LIMIT = 10  chains.py:5 <module>
         literal 10  chains.py:5 <module>"),
    (140, "other", "other = False  chains.py:139 choose
         argument flag = False  chains.py:137 choose
         literal False  chains.py:182 main"),
    (183, "v1", "v1 = 5  chains.py:144 main
         plain returns 5  chains.py:94 plain
         d = 5  chains.py:93 plain
         c = 5  chains.py:92 plain
         b = 5  chains.py:91 plain
         a = 5  chains.py:90 plain
         argument start = 5  chains.py:89 plain
         literal 5  chains.py:144 main"),
    (183, "v2", "v2 = 6  chains.py:147 main
         order.total = 6  chains.py:17 Order.add
         computed: self.total + price * times  chains.py:17 Order.add
             self.total = 0
             price = 2
             times = 3"),
    (183, "v3", "v3 = 2  chains.py:148 main
         same returns 2  chains.py:38 same
         argument value = 2  chains.py:37 same
         Order.secret returns 2  chains.py:21 Order.secret
         self.__secret = 2  chains.py:14 Order.__init__
         argument bonus = 2  chains.py:11 Order.__init__
         default of bonus  chains.py:11 Order.__init__"),
    (183, "v4", "v4 = 20  chains.py:149 main
         Order.first returns 20  chains.py:25 Order.first
         self.items[0] = 20  chains.py:145 main
         literal 20  chains.py:145 main"),
    (183, "v5", "v5 = 3  chains.py:150 main
         (Vector(1) + Vector(2)).x = 3  chains.py:30 Vector.__init__
         argument x = 3  chains.py:29 Vector.__init__
         computed: self.x + other.x  chains.py:33 Vector.__add__
             self.x = 1
             other.x = 2"),
    (183, "v6", "v6 = 9  chains.py:151 main
         keep.<locals>.wrapper returns 9  chains.py:44 keep.<locals>.wrapper
         result = 9  chains.py:43 keep.<locals>.wrapper
         decorated returns 9  chains.py:52 decorated
         third = 9  chains.py:51 decorated
         argument second = 9  chains.py:49 decorated
         literal 9  chains.py:151 main"),
    (183, "v7", "v7 = 4  chains.py:153 main
         count yields 4  chains.py:58 count
         doubled = 4  chains.py:57 count
         computed: number * 2  chains.py:57 count
             number = 2"),
    (183, "total", "total = 6  chains.py:154 main
         computed: total += v7  chains.py:154 main
             total = 2
             v7 = 4"),
    (183, "v8", "v8 = 2  chains.py:155 main
         from C: len([20, 2])  chains.py:155 main"),
    (183, "v9", "v9 = 10  chains.py:156 main
         LIMIT = 10  chains.py:5 <module>
         literal 10  chains.py:5 <module>"),
    (183, "v10", r#"v10 = 10  chains.py:159 main
         table["b"] = 10  chains.py:157 main
         v9 = 10  chains.py:156 main
         LIMIT = 10  chains.py:5 <module>
         literal 10  chains.py:5 <module>"#),
    (183, "v11", r#"v11 = 2  chains.py:160 main
         table["c"] = 2  chains.py:158 main
         v8 = 2  chains.py:155 main
         from C: len([20, 2])  chains.py:155 main"#),
    (183, "v12", "v12 = 9  chains.py:162 main
         order.items[2] = 9  chains.py:161 main
         v6 = 9  chains.py:151 main
         keep.<locals>.wrapper returns 9  chains.py:44 keep.<locals>.wrapper
         result = 9  chains.py:43 keep.<locals>.wrapper
         decorated returns 9  chains.py:52 decorated
         third = 9  chains.py:51 decorated
         argument second = 9  chains.py:49 decorated
         literal 9  chains.py:151 main"),
    (183, "text", r#"text = '10-2'  chains.py:163 main
         computed: f"{v9}-{v8}"  chains.py:163 main
             v9 = 10
             v8 = 2"#),
    (183, "v13", "v13 = 10  chains.py:164 main
         from C: max(2, 10)  chains.py:164 main"),
    (183, "v14", "v14 = 3  chains.py:165 main
         not known further: order.rate: rate is no attribute of the object itself, but of Order  chains.py:165 main"),
    (183, "x", "x = 1  chains.py:166 main
         (1, v9)[0] = 1  chains.py:166 main
         literal 1  chains.py:166 main"),
    (183, "y", "y = 10  chains.py:166 main
         (1, v9)[1] = 10  chains.py:166 main
         v9 = 10  chains.py:156 main
         LIMIT = 10  chains.py:5 <module>
         literal 10  chains.py:5 <module>"),
    (183, "z", "z = 3  chains.py:166 main
         literal 3  chains.py:166 main"),
    (183, "first", "first = 20  chains.py:167 main
         order.items[0] = 20  chains.py:145 main
         literal 20  chains.py:145 main"),
    (183, "rest", "rest = [2, 9]  chains.py:167 main
         computed: first, *rest  chains.py:167 main
             order.items = [20, 2, 9]"),
    (183, "v15", "v15 = 3.141592653589793  chains.py:168 main
         not known further: math.pi: the attributes of a module are not recorded  chains.py:168 main"),
    (183, "v16", "v16 = <module 'posixpath'>  chains.py:169 main
         where = <module 'posixpath'>  chains.py:3 <module>
         imported: from os import path as where  chains.py:3 <module>"),
    (183, "v17", "v17 = 10  chains.py:170 main
         computed: [same(v) for v in (v9,)]  chains.py:170 main"),
    (183, "data", "data = ''  chains.py:172 main
         from C: _io.TextIOWrapper.read(<_io.TextIOWrapper object # mode='r'>)  chains.py:172 main"),
    (183, "v18", "v18 = 'hi'  chains.py:173 main
         drive returns 'hi'  chains.py:82 drive
         not known further: stop.value: the attributes of a StopIteration are not recorded  chains.py:82 drive"),
    (183, "v19", "v19 = [1, 3]  chains.py:174 main
         from C: sorted([3, 1], key=<function main.<locals>.<lambda>>)  chains.py:174 main"),
    (183, "v20", "v20 = <function count>  chains.py:175 main
         count = <function count>  chains.py:55 <module>
         made by def count  chains.py:55 <module>"),
    (183, "order", "order = <Order object # items=[20, 2] total=0 _Order__secret=2>  chains.py:145 main
         made by Order([20, 2])  chains.py:145 main"),
];

const EDGES: &[(u32, &str, &str)] = &[
    (10, "upto", "argument upto = 6  edges.py:6 gen
         literal 6  edges.py:76 main"),
    (10, "step", "argument step = 2  edges.py:6 gen
         literal 2  edges.py:76 main"),
    (19, "d", "argument d = 4  edges.py:18 middle
         not known further: how many arguments the call was given is not known  edges.py:18 middle"),
    (45, "x", r#"argument x = 'q'  edges.py:44 Base.__contains__
         literal "q"  edges.py:91 main"#),
    (64, "inside", "inside = 5  edges.py:63 worker
         argument value = 5  edges.py:61 worker
         self._args[1] = 5  edges.py:98 main
         literal 5  edges.py:98 main"),
    (141, "s", "s = 6  edges.py:76 main
         from C: sum(<generator object gen #>)  edges.py:76 main"),
    (141, "n1", "n1 = 0  edges.py:78 main
         from C: next(<generator object gen #>)  edges.py:78 main"),
    (141, "n2", "n2 = 5  edges.py:79 main
         from C: generator.send(<generator object gen #>, 5)  edges.py:79 main"),
    (141, "o", "o = 4  edges.py:80 main
         outer returns 4  edges.py:16 outer
         middle returns 4  edges.py:20 middle
         kept = 4  edges.py:19 middle
         argument d = 4  edges.py:18 middle
         not known further: how many arguments the call was given is not known  edges.py:18 middle"),
    (141, "l", "l = [0, 2, 3]  edges.py:81 main
         made by [w for w in delegating(3)]  edges.py:81 main"),
    (141, "lst", "lst = [0, 1, 2, 3]  edges.py:82 main
         made by list(gen(4, 1))  edges.py:82 main"),
    (141, "nm", r#"nm = 'ann'  edges.py:84 main
         c.name = 'ann'  edges.py:28 Base.__init__
         argument name = 'ann'  edges.py:27 Base.__init__
         argument name = 'ann'  edges.py:48 Child.__init__
         literal "ann"  edges.py:83 main"#),
    (141, "ex", "ex = [1]  edges.py:85 main
         c.extra = [1]  edges.py:50 Child.__init__
         argument extra = [1]  edges.py:48 Child.__init__
         made by [1]  edges.py:83 main"),
    (141, "mk", r#"mk = 'bob'  edges.py:86 main
         Base.make("bob").name = 'bob'  edges.py:28 Base.__init__
         argument name = 'bob'  edges.py:27 Base.__init__
         argument name = 'bob'  edges.py:29 Base.make
         literal "bob"  edges.py:86 main"#),
    (141, "tw", "tw = 3  edges.py:87 main
         Base.twice returns 3  edges.py:36 Base.twice
         y = 3  edges.py:35 Base.twice
         argument x = 3  edges.py:33 Base.twice
         literal 3  edges.py:87 main"),
    (141, "gi", r#"gi = 'ann'  edges.py:88 main
         Base.__getitem__ returns 'ann'  edges.py:39 Base.__getitem__
         found = 'ann'  edges.py:38 Base.__getitem__
         self.name = 'ann'  edges.py:28 Base.__init__
         argument name = 'ann'  edges.py:27 Base.__init__
         argument name = 'ann'  edges.py:48 Child.__init__
         literal "ann"  edges.py:83 main"#),
    (141, "en", r#"en = 'ann'  edges.py:89 main
         Base.__enter__ returns 'ann'  edges.py:41 Base.__enter__
         self.name = 'ann'  edges.py:28 Base.__init__
         argument name = 'ann'  edges.py:27 Base.__init__
         argument name = 'ann'  edges.py:48 Child.__init__
         literal "ann"  edges.py:83 main"#),
    (141, "ct", "ct = True  edges.py:91 main
         Base.__contains__ returns True  edges.py:45 Base.__contains__
         literal True  edges.py:45 Base.__contains__"),
    (141, "ud", "ud = 42  edges.py:93 main
         Desc.__get__ returns 42  edges.py:54 Desc.__get__
         literal 42  edges.py:54 Desc.__get__"),
    (141, "ug", r#"ug = 'nothere!'  edges.py:94 main
         Uses.__getattr__ returns 'nothere!'  edges.py:59 Uses.__getattr__
         computed: name + "!"  edges.py:59 Uses.__getattr__
             name = 'nothere'"#),
    (141, "pl", "pl = 1  edges.py:96 main
         not known further: p.left: the attributes of a Pair are not recorded  edges.py:96 main"),
    (141, "b0", "b0 = 5  edges.py:100 main
         box[0] = 5  edges.py:62 worker
         argument value = 5  edges.py:61 worker
         self._args[1] = 5  edges.py:98 main
         literal 5  edges.py:98 main"),
    (141, "m", "m = 1  edges.py:101 main
         from C: max([3, 1, 2], key=<function keyed>)  edges.py:101 main"),
    (141, "fv", "fv = 11  edges.py:103 main
         Base.twice returns 11  edges.py:36 Base.twice
         y = 11  edges.py:35 Base.twice
         argument x = 11  edges.py:33 Base.twice
         literal 11  edges.py:103 main"),
    (141, "dv", r#"dv = 2  edges.py:107 main
         d["b"] = 2  edges.py:106 main
         v = 2  edges.py:105 main
         literal [("a", 1), ("b", 2)]  edges.py:105 main"#),
    (141, "last", "last = 8  edges.py:109 main
         e = 8  edges.py:108 main
         from C: the next item of enumerate([7, 8])  edges.py:108 main"),
    (141, "i", "i = 1  edges.py:108 main
         from C: the next item of enumerate([7, 8])  edges.py:108 main"),
    (141, "vv", "vv = 2  edges.py:110 main
         from C: the next item of d.items()  edges.py:110 main"),
    (141, "er", r#"er = ValueError("invalid literal for int() with base 10: 'x'")  edges.py:115 main
         err = ValueError("invalid literal for int() with base 10: 'x'")  edges.py:114 main
         raised: ValueError  edges.py:113 main"#),
    (141, "sw3", "sw3 = 5  edges.py:132 main
         wal = 5  edges.py:128 main
         literal 5  edges.py:128 main"),
    (141, "cx", "cx = 4  edges.py:123 main
         from C: list.extend  edges.py:122 main"),
    (141, "aa", "aa = 1  edges.py:126 main
         [1, [2, 3]][0] = 1  edges.py:125 main
         literal 1  edges.py:125 main"),
    (141, "bb", "bb = 2  edges.py:126 main
         (a sequence)[0] = 2  edges.py:125 main
         literal 2  edges.py:125 main"),
    (141, "cc", "cc = [3]  edges.py:126 main
         computed: [bb, *cc]  edges.py:126 main"),
    (141, "wal", "wal = 5  edges.py:128 main
         literal 5  edges.py:128 main"),
    (141, "lam", "lam = 6  edges.py:129 main
         main.<locals>.<lambda> returns 6  edges.py:129 main.<locals>.<lambda>
         argument q = 6  edges.py:129 main.<locals>.<lambda>
         literal 6  edges.py:129 main"),
    (141, "te", "te = 6  edges.py:130 main
         s = 6  edges.py:76 main
         from C: sum(<generator object gen #>)  edges.py:76 main"),
    (141, "ar", "ar = 8  edges.py:137 main
         not known further: st.value: the attributes of a StopIteration are not recorded  edges.py:137 main"),
    (141, "ss", "ss = [2, 3]  edges.py:140 main
         computed: [1,2,3,4][1:3]  edges.py:140 main
             [1,2,3,4] = …"),
    (141, "g", "g = <generator object gen #>  edges.py:77 main
         made by gen(9, 3)  edges.py:77 main"),
    (141, "kk", "kk = 'b'  edges.py:110 main
         from C: the next item of d.items()  edges.py:110 main"),
];

/// Removes numbers that differ from run to run: positions, and numbers of objects.
fn plain(line: &str) -> String {
    let line = line.trim();
    let line = line.rsplit_once("  [").map_or(line, |(line, _)| line);
    let mut plain = String::new();
    for (at, part) in line.split('#').enumerate() {
        let part =
            if at == 0 { part } else { part.trim_start_matches(|c: char| c.is_ascii_digit()) };
        plain += if at == 0 { "" } else { "#" };
        plain += part;
    }
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn chains_are_the_same_everywhere() {
    check("chains.py", QUESTIONS);
}

#[test]
fn chains_through_classes_generators_threads_and_c_are_the_same() {
    check("edges.py", EDGES);
}

fn check(name: &str, questions: &[(u32, &str, &str)]) {
    let file = program(&format!("origin/{name}"));
    let commands: String = questions
        .iter()
        .map(|(line, of, _)| format!("goto {name}:{line}\norigin {of}\n"))
        .collect();
    for python in Python::all() {
        let recording =
            Recording::new(&python, ["--capture".as_ref(), "state".as_ref(), file.as_os_str()]);
        let mut replay = python.dashcam();
        let output = run_with_input(replay.arg("replay").arg(&recording.db), commands.as_bytes());
        let printed = text(&output.stdout);
        let mut answers: Vec<Vec<String>> = Vec::new();
        for line in printed.lines() {
            match line {
                line if line.starts_with("> ") => answers.push(Vec::new()),
                line if line.starts_with("-> ") => {}
                line => answers.last_mut().unwrap().push(plain(line)),
            }
        }
        assert_eq!(answers.len(), questions.len(), "{python}: {printed}{}", text(&output.stderr));
        for ((line, of, expected), found) in questions.iter().zip(answers) {
            let expected: Vec<String> =
                expected.lines().map(plain).filter(|l| !l.is_empty()).collect();
            assert_eq!(found, expected, "{python}: {of} at line {line}");
        }
    }
}
