//! Phonetic similarity of words of names.
//!
//! A word is split into graphemes, the longest first (`tsch`, `kh`, `ou`). Each grapheme has all the sounds
//! that it represents in some romanization: `ch` as in *Chen*, *Chérif*, *Chalid* and *Christo*. Two
//! graphemes match if they share a sound. So one pass compares English, French, German, Polish and Turkish
//! spellings of Arabic and Slavic names without guessing the language.
//!
//! Published methods:
//! - several readings of one spelling: Beider and Morse, *Phonetic Matching* (2008); the sounds of graphemes:
//!   ALA-LC and BGN/PCGN for Arabic and Cyrillic, DIN 31635 and the Duden for German, and the usage of
//!   French-speaking countries;
//! - edit distance with low costs for letters that sound similar: Zobel and Dart, *Phonetic String Matching*
//!   (1996);
//! - transposed neighbors: Damerau (1964);
//! - candidates by consonant classes: Daitch and Mokotoff, *Soundex* (1985), with one class left out: Garbe's
//!   symmetric delete (2012).

/// Bit set of sounds.
type Sounds = u32;

const P: Sounds = 1;
const B: Sounds = 1 << 1;
const T: Sounds = 1 << 2;
const D: Sounds = 1 << 3;
const K: Sounds = 1 << 4;
const G: Sounds = 1 << 5;
const F: Sounds = 1 << 6;
const V: Sounds = 1 << 7;
const S: Sounds = 1 << 8;
const Z: Sounds = 1 << 9;
const SH: Sounds = 1 << 10;
const ZH: Sounds = 1 << 11;
const CH: Sounds = 1 << 12;
const J: Sounds = 1 << 13;
const TS: Sounds = 1 << 14;
const KH: Sounds = 1 << 15;
const H: Sounds = 1 << 16;
const M: Sounds = 1 << 17;
const N: Sounds = 1 << 18;
const L: Sounds = 1 << 19;
const R: Sounds = 1 << 20;
const TH: Sounds = 1 << 21;
const KS: Sounds = 1 << 22;
const A: Sounds = 1 << 23;
const E: Sounds = 1 << 24;
/// The vowel and the glide (`y` in *Yusuf*).
const I: Sounds = 1 << 25;
const O: Sounds = 1 << 26;
/// The vowel and the glide (`w` in *Walid*).
const U: Sounds = 1 << 27;

const VOWELS: Sounds = A | E | I | O | U;

/// Graphemes of several letters with their sounds, longer ones first.
const GRAPHEMES: [(&str, Sounds); 62] = [
    ("schtsch", SH | CH),
    ("shtsh", SH | CH),
    ("stsch", SH | CH),
    ("chtch", SH | CH),
    ("tzsch", CH),
    ("shch", SH | CH),
    ("szcz", SH | CH),
    ("tsch", CH),
    ("dsch", J | ZH),
    ("tch", CH),
    ("dzh", J | ZH),
    ("dsh", J | ZH),
    ("sch", SH | S | KS),
    ("iyy", I),
    ("dj", J | ZH),
    ("dz", Z | J | TS),
    ("sh", SH | S),
    ("sz", SH | S),
    ("sj", SH | S),
    ("ch", CH | SH | KH | K | H),
    ("cz", CH | TS),
    ("cs", CH | KS),
    ("zh", ZH | J | Z),
    ("kh", KH | K | H),
    ("gh", G | KH),
    ("ph", F | P),
    ("th", T | TH | S),
    ("dh", D | Z | TH),
    ("bh", B),
    ("ck", K),
    ("cq", K),
    ("qu", K),
    ("ts", TS | Z | S),
    ("tz", TS | Z | S),
    ("ks", KS),
    ("gs", KS),
    ("ou", U | O),
    ("oo", U | O),
    ("uo", U | O),
    ("ow", U | O | V),
    ("ee", I | E),
    ("ea", I | E),
    ("ie", I | E),
    ("ij", I),
    ("iy", I),
    ("yi", I),
    ("yy", I),
    ("ii", I),
    ("ai", A | E | I),
    ("ay", A | E | I),
    ("aj", A | E | I),
    ("ei", A | E | I),
    ("ey", A | E | I),
    ("ej", A | E | I),
    ("ae", A | E),
    ("aa", A | O),
    ("oe", O | E | U),
    ("oi", O | E | U | I),
    ("oy", O | E | U | I),
    ("eu", O | E | U | I),
    ("ue", U | E),
    ("au", A | O | U),
];

/// Returns the sounds of a letter, given the next letter.
const fn letter_sounds(letter: u8, next: Option<u8>) -> Sounds {
    let front = matches!(next, Some(b'e' | b'i' | b'y'));
    match letter {
        b'a' => A,
        b'b' => B,
        b'c' if front => S | TS | CH | J,
        b'c' => K | TS | CH | J,
        b'd' => D,
        b'e' => E,
        b'f' => F,
        b'g' if front => G | J | ZH | KH | H,
        b'g' => G,
        b'h' => H,
        b'i' | b'y' => I,
        b'j' => J | ZH | I | KH | H,
        b'k' => K,
        b'l' => L,
        b'm' => M,
        b'n' => N,
        b'o' => O,
        b'p' => P,
        b'q' => K | G,
        b'r' => R,
        b's' => S,
        b't' => T,
        b'u' => U,
        b'v' => V,
        b'w' => V | U,
        b'x' => KS | S | SH | KH | Z,
        b'z' => Z | TS,
        _ => 0,
    }
}

/// Returns the sounds that are often written or heard in place of these.
fn near(sounds: Sounds) -> Sounds {
    const PAIRS: [(Sounds, Sounds); 25] = [
        (P, B),
        (T, D),
        (K, G),
        (K, KH),
        (G, KH),
        (G, J),
        (F, V),
        (F, P),
        (V, B),
        (S, Z),
        (S, SH),
        (S, TS),
        (S, TH),
        (Z, TS),
        (Z, ZH),
        (Z, J),
        (Z, D),
        (SH, CH),
        (SH, ZH),
        (CH, J),
        (CH, TS),
        (J, D),
        (KH, H),
        (M, N),
        (KS, K),
    ];
    PAIRS.iter().fold(0, |all, (one, other)| {
        let of_one = if sounds & one == 0 { 0 } else { *other };
        let of_other = if sounds & other == 0 { 0 } else { *one };
        all | of_one | of_other
    })
}

/// Returns the vowels that are often written in place of these.
const fn near_vowels(sounds: Sounds) -> Sounds {
    let mut all = 0;
    if sounds & A != 0 {
        all |= E | O;
    }
    if sounds & E != 0 {
        all |= A | I;
    }
    if sounds & I != 0 {
        all |= E;
    }
    if sounds & O != 0 {
        all |= U | A;
    }
    if sounds & U != 0 {
        all |= O;
    }
    all
}

/// Cost of a difference, in hundredths of a letter.
type Cost = u16;

const FULL_COST: Cost = 100;

/// Grapheme of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Grapheme {
    sounds: Sounds,
    /// Letter, for graphemes without a known sound.
    code: u8,
    near: Sounds,
    /// Cost of omitting the grapheme.
    omission: Cost,
}

/// Most letters of a word that are compared.
pub const MAX_LETTERS: usize = 40;

/// Phonetic form of a word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sounding {
    graphemes: Box<[Grapheme]>,
    /// All its sounds, and all similar ones.
    all: Sounds,
    /// Whether the script omits vowels.
    abjad: bool,
}

type Row = [Cost; MAX_LETTERS + 1];

impl Sounding {
    /// Creates the phonetic form of a word in lower-case Latin letters. `abjad` marks a script that omits
    /// short vowels.
    pub fn new(text: &str, abjad: bool) -> Self {
        let mut rest = text.as_bytes().get(..MAX_LETTERS).unwrap_or(text.as_bytes());
        let mut graphemes: Vec<Grapheme> = Vec::with_capacity(rest.len());
        while let Some((letter, behind)) = rest.split_first() {
            let (sounds, length) = leading(rest);
            let last = length == rest.len();
            // A doubled consonant counts once, and `gu` before `e` and `i` is `g`.
            let doubled = length == 1 && behind.first() == Some(letter) && sounds & VOWELS == 0;
            let hardened = *letter == b'g' && matches!(behind, [b'u', b'e' | b'i', ..]);
            let (sounds, length) = if hardened { (G, 2) } else { (sounds, length) };
            let code = if sounds == 0 { *letter } else { 0 };
            let omission = omission(sounds, graphemes.is_empty() || last, abjad);
            let near = if sounds & VOWELS == 0 {
                near(sounds)
            } else {
                near_vowels(sounds) | near(sounds & !VOWELS)
            };
            graphemes.push(Grapheme { sounds, code, near, omission });
            rest = rest.get(length + usize::from(doubled)..).unwrap_or_default();
        }
        let all = graphemes.iter().fold(0, |all, grapheme| all | grapheme.sounds | grapheme.near);
        Self { graphemes: graphemes.into(), all, abjad }
    }

    /// Returns the number of graphemes.
    fn count(&self) -> usize {
        self.graphemes.len()
    }

    /// Returns how similar two words sound, in hundredths; none below `least`. Differences weigh more in
    /// short words.
    pub fn likeness(&self, other: &Self, least: u32) -> Option<u32> {
        let longer = self.count().max(other.count());
        let length = u32::try_from(longer).ok().filter(|length| *length > 0)?;
        let weight = match longer {
            0..=3 => 30,
            4 => 15,
            _ => 10,
        };
        let most = 10 * length * (100 - least) / weight;
        let missing = longer - self.count().min(other.count());
        let cheapest: Cost = if self.abjad || other.abjad { 5 } else { 30 };
        if u32::try_from(missing).ok()? * u32::from(cheapest) > most {
            return None;
        }
        if !self.abjad && !other.abjad && self.without_partner(other).max(other.without_partner(self)) > most
        {
            return None;
        }
        let cost = distance(
            &self.graphemes,
            &other.graphemes,
            self.abjad || other.abjad,
            Cost::try_from(most).ok()?,
        )?;
        Some(100 - (u32::from(cost) * weight / (10 * length)).min(100))
    }

    /// Returns the minimum cost of the graphemes that match none of the other word.
    fn without_partner(&self, other: &Self) -> u32 {
        let alone =
            self.graphemes.iter().filter(|grapheme| grapheme.sounds != 0 && grapheme.sounds & other.all == 0);
        alone
            .map(|grapheme| {
                u32::from(if grapheme.sounds & VOWELS == 0 {
                    grapheme.omission
                } else {
                    grapheme.omission.min(40)
                })
            })
            .sum()
    }

    /// Returns keys of the consonant classes, also with each class left out: words that sound similar share a
    /// key.
    pub fn keys(&self) -> Vec<u64> {
        let mut skeletons: Vec<u64> = vec![0];
        for grapheme in &self.graphemes {
            let classes = classes(grapheme);
            let longer: Vec<u64> = skeletons
                .iter()
                .filter(|skeleton| **skeleton < 1 << 56)
                .flat_map(|skeleton| {
                    classes
                        .iter()
                        .map(move |class| if *class == 0 { *skeleton } else { skeleton << 4 | class })
                })
                .collect();
            if !longer.is_empty() && longer.len() <= MAX_SKELETONS {
                skeletons = longer;
            } else if let Some(class) = classes.first().filter(|class| **class != 0) {
                skeletons
                    .iter_mut()
                    .filter(|skeleton| **skeleton < 1 << 56)
                    .for_each(|skeleton| *skeleton = *skeleton << 4 | class);
            }
        }
        let mut keys = Vec::with_capacity(skeletons.len() * 6);
        for skeleton in skeletons {
            keys.push(skeleton);
            let length = (64 - skeleton.leading_zeros()).div_ceil(4);
            if length >= 3 {
                keys.extend((0..length).map(|at| {
                    let low = skeleton & ((1 << (4 * at)) - 1);
                    let high = skeleton.checked_shr(4 * (at + 1)).unwrap_or(0);
                    high << (4 * at) | low
                }));
            }
        }
        keys.sort_unstable();
        keys.dedup();
        keys
    }
}

/// Most readings of one word's consonants.
const MAX_SKELETONS: usize = 8;

/// Returns the consonant classes that a grapheme may belong to; 0 for none.
fn classes(grapheme: &Grapheme) -> Vec<u64> {
    const CLASSES: [(Sounds, u64); 10] = [
        (P | B, 1),
        (F | V, 2),
        (T | D, 3),
        (S | Z | SH | ZH | CH | J | TS | KS, 4),
        (K | G | KH, 5),
        (M, 6),
        (N, 7),
        (L, 8),
        (R, 9),
        (H | VOWELS, 0),
    ];
    if grapheme.sounds == 0 {
        return vec![10 + u64::from(grapheme.code % 6)];
    }
    CLASSES.iter().filter(|(sounds, _)| grapheme.sounds & sounds != 0).map(|(_, class)| *class).collect()
}

/// Returns the sounds and length of the first grapheme of the letters.
fn leading(letters: &[u8]) -> (Sounds, usize) {
    let begins = |grapheme: &str| {
        grapheme.as_bytes().first() == letters.first() && letters.starts_with(grapheme.as_bytes())
    };
    if let Some((grapheme, sounds)) = GRAPHEMES.iter().find(|(grapheme, _)| begins(grapheme)) {
        return (*sounds, grapheme.len());
    }
    (letters.first().map_or(0, |letter| letter_sounds(*letter, letters.get(1).copied())), 1)
}

const fn omission(sounds: Sounds, outer: bool, abjad: bool) -> Cost {
    if sounds == 0 {
        FULL_COST
    } else if sounds == H {
        30
    } else if sounds & !VOWELS == 0 {
        if abjad {
            5
        } else if outer {
            55
        } else {
            40
        }
    } else if sounds & VOWELS != 0 {
        60
    } else {
        FULL_COST
    }
}

/// Returns the cost of replacing one grapheme with another.
const fn exchange(one: Grapheme, other: Grapheme, abjad: bool) -> Cost {
    if one.sounds & other.sounds != 0 || (one.sounds | other.sounds == 0 && one.code == other.code) {
        return 0;
    }
    let vowels = one.sounds & VOWELS != 0 && other.sounds & VOWELS != 0;
    if vowels && abjad {
        10
    } else if one.near & other.sounds != 0 {
        if vowels { 20 } else { 30 }
    } else if vowels {
        40
    } else {
        FULL_COST
    }
}

/// Returns the edit distance of two words; none above `most`.
fn distance(one: &[Grapheme], other: &[Grapheme], abjad: bool, most: Cost) -> Option<Cost> {
    let left_out = |grapheme: &Grapheme| {
        if abjad && grapheme.sounds & !VOWELS == 0 && grapheme.sounds != 0 { 5 } else { grapheme.omission }
    };
    let (mut higher, mut above, mut row): (Row, Row, Row) =
        ([0; MAX_LETTERS + 1], [0; MAX_LETTERS + 1], [0; MAX_LETTERS + 1]);
    let mut sum = 0;
    for (cell, grapheme) in above.iter_mut().skip(1).zip(other) {
        sum += left_out(grapheme);
        *cell = sum;
    }
    let mut before: Option<&Grapheme> = None;
    let mut least_above = 0;
    for grapheme in one {
        let mut left = above.first().copied().unwrap_or_default() + left_out(grapheme);
        let mut least = left;
        let (first, rest) = row.split_first_mut()?;
        *first = left;
        let mut previous: Option<&Grapheme> = None;
        // The cell two places back in the row two rows back.
        let mut crossing: Option<Cost> = None;
        for (((cell, up), across), far) in rest.iter_mut().zip(above.windows(2)).zip(other).zip(&higher) {
            let [diagonal, over] = *up else { continue };
            let mut best = (diagonal + exchange(*grapheme, *across, abjad))
                .min(over + left_out(grapheme))
                .min(left + left_out(across));
            if let (Some(before), Some(previous), Some(crossing)) = (before, previous, crossing)
                && before.sounds == across.sounds
                && previous.sounds == grapheme.sounds
            {
                best = best.min(crossing + 70);
            }
            (*cell, left, previous, crossing) = (best, best, Some(across), Some(*far));
            least = least.min(best);
        }
        if least > most && least_above > most {
            return None;
        }
        (before, least_above) = (Some(grapheme), least);
        std::mem::swap(&mut higher, &mut above);
        std::mem::swap(&mut above, &mut row);
    }
    above.get(other.len()).copied().filter(|cost| *cost <= most)
}
