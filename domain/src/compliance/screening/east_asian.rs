//! Chinese and Korean names in different romanizations.
//!
//! A Chinese syllable is read as Hanyu Pinyin (ISO 7098), as Wade-Giles (Giles 1912), and as the Cantonese of
//! Hong Kong or the Southern Min of South-East Asia; each reading is converted to Pinyin. Each line of
//! `cantonese.txt` has a spelling and the Pinyin of the characters that it represents, the most frequent in
//! names first. It is derived from a thousand characters of names, their readings in Jyutping (Linguistic
//! Society of Hong Kong, 1993) and Pinyin, and the spelling of the Hong Kong government.
//!
//! Korean syllables are reduced to classes that ignore the differences between the Revised Romanization
//! (2000), McCune-Reischauer (1939) and customary spellings: `Jeong`, `Chŏng`, `Jung` and `Chung` are the
//! same.
//!
//! Both are used only for names that look Chinese or Korean as a whole, with a known family name.

use std::{
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

/// All Pinyin syllables without tones, with `ü` written as `u`.
const PINYIN: &str = "a ai an ang ao ba bai ban bang bao bei ben beng bi bian biao bie bin bing bo bu ca \
    cai can cang cao ce cen ceng cha chai chan chang chao che chen cheng chi chong chou chu chuai chuan \
    chuang chui chun chuo ci cong cou cu cuan cui cun cuo da dai dan dang dao de deng di dian diao die ding \
    dong dou du duan dui dun duo e en er fa fan fang fei fen feng fo fou fu ga gai gan gang gao ge gei gen \
    geng gong gou gu gua guai guan guang gui gun guo ha hai han hang hao he hei hen heng hong hou hu hua \
    huai huan huang hui hun huo ji jia jian jiang jiao jie jin jing jiong jiu ju juan jue jun ka kai kan \
    kang kao ke ken keng kong kou ku kua kuai kuan kuang kui kun kuo la lai lan lang lao le lei leng li \
    lian liang liao lie lin ling liu long lou lu luan lue lun luo ma mai man mang mao mei men meng mi mian \
    miao mie min ming miu mo mou mu na nai nan nang nao nei nen neng ni nian niang niao nie nin ning niu \
    nong nu nuan nue nuo ou pa pai pan pang pao pei pen peng pi pian piao pie pin ping po pou pu qi qia \
    qian qiang qiao qie qin qing qiong qiu qu quan que qun ran rang rao re ren reng ri rong rou ru ruan rui \
    run ruo sa sai san sang sao se sen seng sha shai shan shang shao she shen sheng shi shou shu shua shuai \
    shuan shuang shui shun shuo si song sou su suan sui sun suo ta tai tan tang tao te teng ti tian tiao \
    tie ting tong tou tu tuan tui tun tuo wa wai wan wang wei wen weng wo wu xi xia xian xiang xiao xie xin \
    xing xiong xiu xu xuan xue xun ya yan yang yao ye yi yin ying yo yong you yu yuan yue yun za zai zan \
    zang zao ze zei zen zeng zha zhai zhan zhang zhao zhe zhen zheng zhi zhong zhou zhu zhua zhuai zhuan \
    zhuang zhui zhun zhuo zi zong zou zu zuan zui zun zuo";

/// Frequent Chinese family names in Pinyin.
const CHINESE_FAMILIES: &str = "ai an bai ban bao bei bi bian bo bu cai cao cen chai chang chao che chen \
    cheng chi chu cong cui dai dang deng di diao ding dong dou du duan e fan fang fei feng fu gan gao ge \
    geng gong gou gu guan gui guo hai han hang hao he heng hong hou hu hua huang hui huo ji jia jian jiang \
    jiao jie jin jing ju kang ke kong kuang lai lan lang lao le lei leng li lian liang liao lin ling liu \
    long lou lu luo ma mai man mao mei meng mi miao min ming mo mou mu na nan ni nie ning niu ou ouyang pan \
    pang pei peng piao pu qi qian qiao qin qiu qu quan ran rao ren rong ruan sang sha shan shang shao she \
    shen sheng shi shu shui si sima situ song su sui sun tai tan tang tao teng tian tie tong tu wan wang \
    wei wen weng wu xi xia xian xiang xiao xie xin xing xiong xu xuan xue yan yang yao ye yi yin ying you \
    yu yuan yue yun zang zeng zha zhai zhan zhang zhao zhen zheng zhi zhong zhou zhu zhuang zhuge zhuo zong zou zu zuo";

/// Korean family names, one group of spellings for each.
const KOREAN_FAMILIES: &str = "kim gim khim/lee yi rhee ri i li ree yee rhie ie/park pak bak bark pack \
    bahk/choi choe chwe choy chey/jung jeong chung chong joung cheong jeung/kang gang kahng/cho jo joe \
    chough/yoon yun youn/jang chang jahng zhang/lim im yim rim leem rhim/han hahn/oh o/seo suh so sur su \
    seoh/shin sin/kwon gwon kweon/hwang whang/an ahn/song/ryu yoo you yu ryoo yoou rhyu/hong/jeon jun chun \
    chon cheon jeun/ko go koh goh gho/moon mun/yang ryang/son sohn shon/bae pae bai pai/baek paik baik paek \
    pack back/heo hur huh ho hu her hoh/nam nahm/sim shim/noh no roh ro rho/ha hah/kwak gwak kwack/sung \
    seong/cha char/joo ju chu choo/woo u wu ou/koo gu ku goo gou/min minn/ra na la nah rah/jin chin/ji chi \
    jee chee/eom um uhm om/chae chai/won weon/cheon chun/bang pang/kong gong/hyun hyeon hyon/ham hahm/byun \
    byeon pyon pyun/yeom yum yom/yeo yo/choo chu/do to toh/seok suk sok/sun seon/seol sul sol/ma mah/gil \
    kil/wi wee/pyo/myung myeong myong/ki gi kee/ban pan/wang/keum geum kum/ok/yuk yook/in ihn/maeng/je \
    che/mo/namgung namkung/tak/kuk guk kook/eo uh/eun un/pyeon pyun/yong/ye/kyung kyeong/bong pong/sa/bu \
    boo pu/hwangbo whangbo/tae/kye gye/om";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum System {
    Pinyin,
    WadeGiles,
    Cantonese,
}

const SYSTEMS: [System; 3] = [System::Pinyin, System::WadeGiles, System::Cantonese];

type Syllables = HashMap<String, Vec<&'static str>>;

static SYLLABLES: LazyLock<[Syllables; 3]> = LazyLock::new(|| SYSTEMS.map(syllables_of));
static FAMILIES: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    let families: HashSet<&str> = CHINESE_FAMILIES.split(' ').collect();
    let spelled = |syllables: &'static Syllables| {
        let families = &families;
        let is_family = |pinyin: &Vec<&str>| pinyin.iter().any(|pinyin| families.contains(pinyin));
        syllables.iter().filter(move |(_, pinyin)| is_family(pinyin)).map(|(spelling, _)| spelling.as_str())
    };
    families.iter().copied().chain(SYLLABLES.iter().flat_map(spelled)).collect()
});
static KOREANS: LazyLock<HashMap<&'static str, u64>> = LazyLock::new(|| {
    // The hash of its line identifies a group.
    KOREAN_FAMILIES
        .split('/')
        .flat_map(|group| group.split(' ').map(move |name| (name, hash(group))))
        .collect()
});

fn syllables_of(system: System) -> Syllables {
    let mut all: Syllables = HashMap::new();
    match system {
        System::Pinyin => {
            PINYIN.split(' ').for_each(|syllable| all.entry(syllable.to_owned()).or_default().push(syllable));
        }
        System::WadeGiles => {
            for syllable in PINYIN.split(' ') {
                all.entry(wade_giles(syllable)).or_default().push(syllable);
            }
            for (spelling, syllable) in [
                ("tze", "zi"),
                ("szu", "si"),
                ("sze", "si"),
                ("lee", "li"),
                ("soo", "su"),
                ("ho", "he"),
                ("ko", "ge"),
                ("e", "e"),
            ] {
                all.entry(spelling.to_owned()).or_default().push(syllable);
            }
        }
        System::Cantonese => {
            for line in include_str!("cantonese.txt").lines() {
                let mut words = line.split(' ');
                let spelling = words.next().unwrap_or_default();
                all.entry(spelling.to_owned()).or_default().extend(words);
            }
        }
    }
    all
}

/// Converts a Pinyin syllable to Wade-Giles, without apostrophes and diaereses.
fn wade_giles(pinyin: &str) -> String {
    let whole = match pinyin {
        "zhi" | "chi" => "chih",
        "shi" => "shih",
        "ri" => "jih",
        "zi" | "ci" => "tzu",
        "si" => "ssu",
        "er" => "erh",
        "yan" => "yen",
        "ye" => "yeh",
        "you" => "yu",
        "yong" => "yung",
        "e" => "o",
        "ge" | "ke" => "ko",
        "he" => "ho",
        "gui" | "kui" => "kuei",
        "yi" => "i",
        "yue" => "yueh",
        _ => "",
    };
    if !whole.is_empty() {
        return whole.to_owned();
    }
    let initials = [
        ("zh", "ch"),
        ("ch", "ch"),
        ("sh", "sh"),
        ("b", "p"),
        ("d", "t"),
        ("g", "k"),
        ("j", "ch"),
        ("q", "ch"),
        ("x", "hs"),
        ("z", "ts"),
        ("c", "ts"),
        ("r", "j"),
    ];
    let (before, initial, rest) = initials
        .iter()
        .find_map(|(initial, wade)| pinyin.strip_prefix(initial).map(|rest| (*initial, *wade, rest)))
        .or_else(|| {
            pinyin
                .get(1..)
                .filter(|_| !pinyin.starts_with(['a', 'e', 'o']))
                .map(|rest| ("", pinyin.get(..1).unwrap_or_default(), rest))
        })
        .unwrap_or(("", "", pinyin));
    let rest = match rest {
        "ong" => "ung",
        "iong" => "iung",
        "ian" => "ien",
        "ie" => "ieh",
        "ue" => "ueh",
        "e" => "e",
        "uo" if !matches!(before, "g" | "sh") && !matches!(initial, "k" | "h") => "o",
        other => other,
    };
    format!("{initial}{rest}")
}

/// Collects the readings of a word as at most `limit` syllables of one system, in Pinyin.
fn readings(word: &str, syllables: &Syllables, most: usize, so_far: &str, found: &mut Vec<String>) {
    if found.len() >= MAX_READINGS {
        return;
    }
    if word.is_empty() {
        if !found.iter().any(|known| known == so_far) {
            found.push(so_far.to_owned());
        }
        return;
    }
    if most == 0 {
        return;
    }
    for length in (1..=MAX_SYLLABLE_LENGTH.min(word.len())).rev() {
        let (Some(head), Some(tail)) = (word.get(..length), word.get(length..)) else { continue };
        for pinyin in syllables.get(head).into_iter().flatten() {
            readings(tail, syllables, most - 1, &format!("{so_far}{pinyin}"), found);
        }
    }
}

const MAX_READINGS: usize = 40;
const MAX_SYLLABLE_LENGTH: usize = 7;
const MAX_SYLLABLES: usize = 4;

/// Returns hashes of the Pinyin readings of a word in every system.
pub fn pinyin(word: &str) -> Vec<u64> {
    let mut all = Vec::new();
    if word.len() <= MAX_SYLLABLES * 6 {
        for syllables in SYLLABLES.iter() {
            let mut found = Vec::new();
            readings(word, syllables, MAX_SYLLABLES, "", &mut found);
            all.extend(found.iter().map(|reading| hash(reading)));
        }
    }
    all.sort_unstable();
    all.dedup();
    all
}

/// Whether a word consists of a limited number of syllables of one system.
fn is_made_of(word: &str, syllables: &Syllables, most: usize) -> bool {
    word.is_empty()
        || most > 0
            && (1..=MAX_SYLLABLE_LENGTH.min(word.len())).any(|length| {
                word.get(..length).is_some_and(|head| syllables.contains_key(head))
                    && word.get(length..).is_some_and(|tail| is_made_of(tail, syllables, most - 1))
            })
}

/// Whether a word consists of Chinese syllables.
fn is_chinese(word: &str) -> bool {
    SYLLABLES.iter().any(|syllables| is_made_of(word, syllables, 3))
}

fn is_chinese_family(word: &str) -> bool {
    FAMILIES.contains(word)
}

/// Spellings of Korean sounds with the class of each, longer ones first.
const KOREAN_SPELLINGS: [(&str, &str); 62] = [
    ("yeo", "YO"),
    ("weo", "WO"),
    ("woo", "O"),
    ("wae", "WE"),
    ("yoo", "YO"),
    ("you", "YO"),
    ("yeu", "YO"),
    ("yae", "YE"),
    ("tch", "C"),
    ("sch", "S"),
    ("eui", "I"),
    ("oui", "WI"),
    ("eo", "O"),
    ("eu", "O"),
    ("oo", "O"),
    ("ou", "O"),
    ("wu", "O"),
    ("oe", "WE"),
    ("oi", "WE"),
    ("ui", "I"),
    ("ae", "E"),
    ("ai", "E"),
    ("ay", "E"),
    ("ei", "E"),
    ("ey", "E"),
    ("ee", "I"),
    ("ie", "I"),
    ("yi", "I"),
    ("ah", "A"),
    ("oh", "O"),
    ("uh", "O"),
    ("eh", "E"),
    ("ch", "C"),
    ("jj", "C"),
    ("sh", "S"),
    ("ss", "S"),
    ("kk", "K"),
    ("gg", "K"),
    ("gh", "K"),
    ("kh", "K"),
    ("tt", "T"),
    ("dd", "T"),
    ("th", "T"),
    ("pp", "P"),
    ("bb", "P"),
    ("ph", "P"),
    ("ng", "Q"),
    ("wh", "HW"),
    ("rh", "L"),
    ("nn", "N"),
    ("mm", "M"),
    ("ll", "L"),
    ("a", "A"),
    ("e", "E"),
    ("i", "I"),
    ("o", "O"),
    ("u", "O"),
    ("y", "Y"),
    ("w", "W"),
    ("j", "C"),
    ("z", "C"),
    ("s", "S"),
];

/// Returns the Korean sound classes of a word; none if it has other sounds.
fn korean_classes(word: &str) -> Option<String> {
    let mut classes = String::with_capacity(word.len());
    let mut rest = word;
    while !rest.is_empty() {
        if let Some((spelling, class)) =
            KOREAN_SPELLINGS.iter().find(|(spelling, _)| rest.starts_with(spelling))
        {
            classes.push_str(class);
            rest = rest.get(spelling.len()..)?;
            continue;
        }
        classes.push(match rest.chars().next()? {
            'k' | 'g' => 'K',
            't' | 'd' => 'T',
            'p' | 'b' => 'P',
            'l' | 'r' => 'L',
            'm' => 'M',
            'n' => 'N',
            'h' => 'H',
            _ => return None,
        });
        rest = rest.get(1..)?;
    }
    Some(classes)
}

/// Whether a word can be Korean: one to three vowels, and no more than two consonants in a row.
fn is_korean(word: &str) -> bool {
    let Some(classes) = korean_classes(word) else { return false };
    let is_vowel = |class: char| matches!(class, 'A' | 'E' | 'I' | 'O');
    let is_glide = |class: char| matches!(class, 'Y' | 'W');
    let vowels = classes.chars().filter(|class| is_vowel(*class)).count();
    let mut together = 0;
    let mut most = 0;
    for class in classes.chars().filter(|class| !is_glide(*class)) {
        together = if is_vowel(class) { 0 } else { together + 1 };
        most = most.max(together);
    }
    (1..=3).contains(&vowels) && most <= 2 && word.len() <= 16
}

/// Returns hashes of a Korean word, as a family name and by its sounds.
pub fn korean(word: &str) -> Vec<u64> {
    let family = KOREANS.get(word).copied();
    let mut all: Vec<u64> =
        family.into_iter().chain(korean_classes(word).map(|classes| hash(&classes))).collect();
    all.sort_unstable();
    all
}

/// Naming traditions that a name may belong to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Traditions {
    pub chinese: bool,
    pub korean: bool,
}

impl Traditions {
    /// Returns the traditions of the words of a name without particles. Requires a known family name, and all
    /// words (all but one, if there are more than two) in syllables of the tradition.
    pub fn of(words: &[&str]) -> Self {
        if !(2..=5).contains(&words.len()) {
            return Self::default();
        }
        let looks_like = |is_family: fn(&str) -> bool, is_word: fn(&str) -> bool| {
            let has_family = words.iter().any(|word| is_family(word));
            has_family && words.iter().filter(|word| !is_word(word)).count() <= usize::from(words.len() > 2)
        };
        Self {
            chinese: looks_like(is_chinese_family, is_chinese),
            korean: looks_like(|word| KOREANS.contains_key(word), is_korean),
        }
    }
}

/// 64-bit Fowler-Noll-Vo hash (FNV-1a).
fn hash(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
