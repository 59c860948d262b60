//! Finds the names that mean credentials, whose values must not leave the program.

/// Which values under a name are withheld, so that they stay in the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Withheld {
    #[default]
    Nothing,
    /// Texts that may be keys, but not the tokens of a parser: see [`is_like_key`].
    LikeKeys,
    /// Texts (str and bytes), and containers of texts. Numbers, flags and other objects are
    /// recorded.
    Texts,
    /// All values.
    All,
}

/// The entry in a list of patterns that means the usual names.
pub const USUAL: &str = "";
/// Texts longer than this are withheld under the plain name `token`, whatever they contain.
pub const TOKEN_MAX: usize = 8;
/// Texts longer than this are not taken for connection strings.
const PAIRS_MAX: usize = 1 << 10;
/// Under the name `token`, texts with letters and digits are withheld from this length on.
const MIXED_MIN: usize = 5;

/// Words that mean a credential anywhere in a name.
const WORDS: [&str; 19] = [
    "password",
    "passwords",
    "passwd",
    "passphrase",
    "passcode",
    "pwd",
    "secret",
    "secrets",
    "credential",
    "credentials",
    "authorization",
    "auth",
    "bearer",
    "cookie",
    "cookies",
    "jwt",
    "apikey",
    "sessionid",
    "otp",
];
/// Pairs of words that mean a credential.
const PAIRS: [[&str; 2]; 8] = [
    ["api", "key"],
    ["access", "key"],
    ["private", "key"],
    ["secret", "key"],
    ["signing", "key"],
    ["encryption", "key"],
    ["session", "id"],
    ["session", "key"],
];
/// Words that, together with `token`, mean a credential.
const OF_TOKENS: [&str; 19] = [
    "access", "admin", "api", "auth", "bot", "client", "csrf", "github", "gitlab", "id", "login",
    "oauth", "refresh", "reset", "service", "session", "slack", "user", "xsrf",
];

/// The names whose values are withheld.
#[derive(Debug, Clone, Default)]
pub struct Secrets {
    has_usual: bool,
    /// In lower case.
    patterns: Vec<String>,
}

impl Secrets {
    /// Returns the secrets for these patterns. A name is secret if it contains a pattern,
    /// regardless of case; [`USUAL`] means the usual names.
    pub fn new<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Secrets {
        let (usual, patterns): (Vec<&str>, _) =
            patterns.into_iter().partition(|pattern| *pattern == USUAL);
        let patterns = patterns.into_iter().map(str::to_lowercase).collect();
        Secrets { has_usual: !usual.is_empty(), patterns }
    }

    /// Which values of a variable, attribute, key or option with this name are withheld.
    pub fn of(&self, name: &str) -> Withheld {
        if !self.patterns.is_empty() {
            let lower = name.to_lowercase();
            if self.patterns.iter().any(|pattern| lower.contains(&**pattern)) {
                return Withheld::All;
            }
        }
        if self.has_usual { usual(name) } else { Withheld::Nothing }
    }

    /// Returns a command line without the values of its secret options.
    pub fn without(&self, words: impl IntoIterator<Item = String>) -> Vec<String> {
        let mut is_secret = false;
        let mut shown = Vec::new();
        for word in words {
            let (option, value) = match word.split_once('=') {
                Some((option, _)) => (option, true),
                None => (&*word, false),
            };
            let is_option = option.starts_with('-');
            let name = option.trim_start_matches('-');
            let is_name = !name.is_empty()
                && name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
            let names_secret =
                (is_option || value) && is_name && self.of(name) != Withheld::Nothing;
            shown.push(if std::mem::replace(&mut is_secret, false) && !is_option {
                "<redacted>".to_owned()
            } else if names_secret && value {
                format!("{option}=<redacted>")
            } else {
                is_secret = names_secret;
                match without_password(word.as_bytes()).map(String::from_utf8) {
                    Some(Ok(word)) => word,
                    _ => word,
                }
            });
        }
        shown
    }
}

/// The letters that the words begin with that [`usual`] searches for.
const BEGINNINGS: u32 = {
    let (mut letters, mut at) = (1 << (b't' - b'a'), 0);
    while at < WORDS.len() {
        letters |= 1 << (WORDS[at].as_bytes()[0] - b'a');
        at += 1;
    }
    at = 0;
    while at < PAIRS.len() {
        letters |= 1 << (PAIRS[at][0].as_bytes()[0] - b'a');
        at += 1;
    }
    letters
};

/// Whether a name contains the letters of such a word. Most names do not, and for those this is
/// faster than to split them.
fn may_be_usual(name: &str) -> bool {
    let words = || WORDS.iter().chain(PAIRS.iter().map(|[first, _]| first)).chain(&["token"]);
    let begins = |rest: &[u8]| {
        let letter = rest[0].to_ascii_lowercase().wrapping_sub(b'a');
        letter < 26
            && BEGINNINGS >> letter & 1 != 0
            && words().any(|word| {
                let part = rest.get(..word.len());
                part.is_some_and(|part| part.eq_ignore_ascii_case(word.as_bytes()))
            })
    };
    let bytes = name.as_bytes();
    // In lower case, some other characters are ASCII letters.
    !name.is_ascii() || (0..bytes.len()).any(|at| begins(&bytes[at..]))
}

fn usual(name: &str) -> Withheld {
    if !may_be_usual(name) {
        return Withheld::Nothing;
    }
    let words = words(name);
    let has = |wanted: &str| words.iter().any(|word| word == wanted);
    let has_pair = words.windows(2).any(|two| PAIRS.iter().any(|pair| two == pair));
    if has_pair || WORDS.iter().any(|word| has(word)) {
        return Withheld::Texts;
    }
    match has("token") || has("tokens") {
        false => Withheld::Nothing,
        true if OF_TOKENS.iter().any(|word| has(word)) => Withheld::Texts,
        true => Withheld::LikeKeys,
    }
}

/// Whether a text under the name `token` may be a key. The tokens of parsers are short: words,
/// numbers, operators.
pub fn is_like_key(text: &[u8]) -> bool {
    let has = |is: fn(&u8) -> bool| text.iter().any(is);
    text.len() > TOKEN_MAX
        || text.len() >= MIXED_MIN && has(u8::is_ascii_alphabetic) && has(u8::is_ascii_digit)
}

/// Splits a name into words in lower case: `dbPassword2` is `db` and `password`.
fn words(name: &str) -> Vec<String> {
    let characters: Vec<char> = name.chars().collect();
    let mut words = vec![String::new()];
    for (at, character) in characters.iter().enumerate() {
        let before = at.checked_sub(1).map(|before| characters[before]);
        let after = characters.get(at + 1);
        let begins = character.is_uppercase()
            && (before.is_some_and(char::is_lowercase)
                || before.is_some_and(char::is_uppercase)
                    && after.is_some_and(|c| c.is_lowercase()));
        if begins || !character.is_alphabetic() {
            words.push(String::new());
        }
        if character.is_alphabetic()
            && let Some(word) = words.last_mut()
        {
            word.extend(character.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Returns a text with the passwords in addresses (`scheme://user:password@host`,
/// `scheme://host?password=x`) and in connection strings (`host=h password=x`, `Server=h;Pwd=x`)
/// replaced by the same number of asterisks. Returns `None` if there are no passwords.
pub fn without_password(text: &[u8]) -> Option<Vec<u8>> {
    let mut found: Option<Vec<u8>> = None;
    let mut hide = |range: std::ops::Range<usize>| {
        // All bytes of a character are replaced, so that the text stays valid.
        found.get_or_insert_with(|| text.to_vec())[range].fill(b'*');
    };
    let mut from = 0;
    while let Some(at) = text.get(from..).and_then(|rest| {
        let colons = rest.iter().enumerate().filter(|(_, byte)| **byte == b':');
        colons.map(|(at, _)| at).find(|at| rest[*at..].starts_with(b"://"))
    }) {
        from += at + 3;
        let rest = &text[from..];
        let is_end = |byte: &u8| byte.is_ascii_whitespace() || b"'\"<>".contains(byte);
        let end = rest.iter().position(is_end).unwrap_or(rest.len());
        let host = rest[..end].iter().position(|byte| b"/?#".contains(byte)).unwrap_or(end);
        if let Some(at) = rest[..host].iter().rposition(|byte| *byte == b'@')
            && let Some(colon) = rest[..at].iter().position(|byte| *byte == b':')
        {
            hide(from + colon + 1..from + at);
        }
        let mut start = host;
        for part in rest[host..end].split(|byte| b"?&;#".contains(byte)) {
            if let Some(equals) = part.iter().position(|byte| *byte == b'=')
                && is_password(&part[..equals])
            {
                hide(from + start + equals + 1..from + start + part.len());
            }
            start += part.len() + 1;
        }
    }
    if from == 0 {
        pairs(text, hide);
    }
    found
}

/// Hides passwords if the whole text consists of at least two `key=value` pairs.
fn pairs(text: &[u8], mut hide: impl FnMut(std::ops::Range<usize>)) {
    let separator = if text.contains(&b';') { b';' } else { b' ' };
    if !text.contains(&b'=') || text.len() > PAIRS_MAX {
        return;
    }
    let (mut at, mut count, mut passwords) = (0, 0, Vec::new());
    for part in text.split(|byte| *byte == separator) {
        let start = at;
        at += part.len() + 1;
        if part.trim_ascii().is_empty() {
            continue;
        }
        let Some(equals) = part.iter().position(|byte| *byte == b'=') else { return };
        let key = part[..equals].trim_ascii_start();
        let is_key = |byte: &u8| byte.is_ascii_alphanumeric() || b" _-".contains(byte);
        // A text with spaces around `=` is code.
        if key.is_empty() || key.ends_with(b" ") || !key.iter().all(is_key) {
            return;
        }
        count += 1;
        if is_password(key) {
            passwords.push(start + equals + 1..start + part.len());
        }
    }
    if count > 1 {
        passwords.into_iter().for_each(&mut hide);
    }
}

/// Whether a parameter of a connection is a password.
fn is_password(name: &[u8]) -> bool {
    // Most names are not, and this runs for every text of a program: the first check is quick.
    let starts = |byte: &u8| b"pPsStTaA".contains(byte);
    name.iter().any(starts)
        && std::str::from_utf8(name).is_ok_and(|name| usual(name) == Withheld::Texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_name_is_ruled_out_by_its_letters() {
        let pairs = PAIRS.iter().map(|[first, second]| format!("{first}_{second}"));
        let tokens = OF_TOKENS.iter().map(|word| format!("{word}_token"));
        let words = WORDS.iter().map(|word| (*word).to_owned());
        for name in words.chain(pairs).chain(tokens) {
            assert!(may_be_usual(&name) && may_be_usual(&format!("x9{}Y", name.to_uppercase())));
            assert_ne!(usual(&name), Withheld::Nothing, "{name}");
        }
        assert!(!may_be_usual("") && !may_be_usual("request") && !may_be_usual("x_1"));
    }

    #[test]
    fn names_are_judged_by_their_words() {
        let secrets = Secrets::new([USUAL, "Pin"]);
        for name in [
            "password",
            "db_password",
            "Password2",
            "dbPassword",
            "DB_PASSWD",
            "AUTHORIZATION",
            "apiKey",
            "API_KEY",
            "x-api-key",
            "X-Auth-Key",
            "aws_secret_access_key",
            "pwd",
            "cookie",
            "Set-Cookie",
            "session_id",
            "sessionId",
            "access_key",
            "bearer",
            "auth",
            "AUTH_TOKEN",
            "accessToken",
            "csrf_token",
            "_Order__secret",
            "client_secret",
        ] {
            assert_eq!(secrets.of(name), Withheld::Texts, "{name}");
        }
        for name in ["token", "tokens", "extra_tokens", "next_token", "TOKEN"] {
            assert_eq!(secrets.of(name), Withheld::LikeKeys, "{name}");
        }
        for key in ["abc12", "a1b2c3d4", "long-enough", "secretkey"] {
            assert!(is_like_key(key.as_bytes()), "{key}");
        }
        for token in ["", "if", "function", "+=", "3.14159", "x1", "12345678", "NEWLINE"] {
            assert!(!is_like_key(token.as_bytes()), "{token}");
        }
        for name in [
            "author",
            "authors",
            "tokenize",
            "tokenizer",
            "secretary",
            "key",
            "keys",
            "access",
            "compass",
            "session",
            "id",
            "passing",
            "cookiecutter",
            "",
        ] {
            assert_eq!(secrets.of(name), Withheld::Nothing, "{name}");
        }
        assert_eq!(secrets.of("spinner"), Withheld::All);
        assert_eq!(Secrets::new(["pin"]).of("password"), Withheld::Nothing);
    }

    #[test]
    fn command_lines_lose_secret_values() {
        let secrets = Secrets::new([USUAL]);
        let without = |line: &str| secrets.without(line.split(' ').map(str::to_owned)).join(" ");
        assert_eq!(without("app.py --password hunter2 x"), "app.py --password <redacted> x");
        assert_eq!(without("app.py --api-key=abc -v"), "app.py --api-key=<redacted> -v");
        assert_eq!(without("app.py PASSWORD=abc"), "app.py PASSWORD=<redacted>");
        assert_eq!(without("app.py --auth --user me"), "app.py --auth --user me");
        assert_eq!(without("app.py pg://me:pass@h/d"), "app.py pg://me:****@h/d");
        assert_eq!(without("-c password=1;print(2)"), "-c password=<redacted>");
        assert_eq!(without("-c print('a=b')"), "-c print('a=b')");
    }

    #[test]
    fn passwords_in_addresses_are_hidden() {
        let hidden = |text: &str| {
            without_password(text.as_bytes()).map(|text| String::from_utf8(text).unwrap())
        };
        assert_eq!(hidden("http://localhost:8000/a@b:c"), None);
        assert_eq!(hidden("no address: a:b@c"), None);
        assert_eq!(hidden("pg://me:p@ss@h/d").as_deref(), Some("pg://me:****@h/d"));
        let two = "a://u:1@h b://v:22@i";
        assert_eq!(hidden(two).as_deref(), Some("a://u:*@h b://v:**@i"));
        assert_eq!(hidden("a://u:é@h").as_deref(), Some("a://u:**@h"));
        assert_eq!(hidden("redis://:pw@h/0").as_deref(), Some("redis://:**@h/0"));
        let query = "jdbc:pg://h/d?user=me&password=x1&a=b";
        assert_eq!(hidden(query).as_deref(), Some("jdbc:pg://h/d?user=me&password=**&a=b"));
        let pairs = "host=h dbname=d password=xyz";
        assert_eq!(hidden(pairs).as_deref(), Some("host=h dbname=d password=***"));
        let pairs = "Server=h;User Id=me;Password=x y;";
        assert_eq!(hidden(pairs).as_deref(), Some("Server=h;User Id=me;Password=***;"));
        for text in
            ["password=None", "def f(a=1, password=None)", "x = 1; password = read()\n", "a=b c=d"]
        {
            assert_eq!(hidden(text), None, "{text}");
        }
    }
}
