//! Code lists: US states with territories and military posts, and the countries of ISO 3166-1.

use std::fmt;

/// Reason why a text is not a code of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeError {
    /// Not this number of ASCII letters.
    Shape(usize),
    /// Well-formed, but not on the list.
    Unknown,
}

impl fmt::Display for CodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shape(count) => write!(f, "must be a code of {count} letters"),
            Self::Unknown => f.write_str("must be a known code"),
        }
    }
}

impl std::error::Error for CodeError {}

/// US state in a postal address: a state, the District of Columbia, a territory, a freely associated state or
/// a military post.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UsState {
    code: &'static str,
    name: &'static str,
}

impl UsState {
    /// Parses a two-letter postal code of either case.
    ///
    /// # Errors
    /// [`CodeError`]; the shape is checked first.
    pub fn parse(text: &str) -> Result<Self, CodeError> {
        check_letters(text, 2)?;
        let listed = STATES.iter().find(|(code, _)| code.eq_ignore_ascii_case(text));
        listed.map(|&(code, name)| Self { code, name }).ok_or(CodeError::Unknown)
    }

    /// Returns all entries, the fifty states first.
    pub fn all() -> impl Iterator<Item = Self> {
        STATES.iter().map(|&(code, name)| Self { code, name })
    }

    /// Whether social security numbers are issued there: not at military posts, and not in freely associated
    /// states.
    #[must_use]
    pub fn issues_ssns(self) -> bool {
        !matches!(self.code, "AA" | "AE" | "AP" | "PW" | "FM" | "MH")
    }

    /// Returns the code in two capital letters.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.code
    }

    /// Returns the full English name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.name
    }
}

/// Country or territory of ISO 3166-1: its two-letter code is used in addresses, its three-letter code for
/// citizenship.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Country {
    alpha2: &'static str,
    alpha3: &'static str,
}

impl Country {
    /// Parses a two-letter code of either case.
    ///
    /// # Errors
    /// [`CodeError`]; the shape is checked first.
    pub fn from_alpha2(text: &str) -> Result<Self, CodeError> {
        check_letters(text, 2)?;
        Self::all().find(|country| country.alpha2.eq_ignore_ascii_case(text)).ok_or(CodeError::Unknown)
    }

    /// Parses a three-letter code of either case.
    ///
    /// # Errors
    /// [`CodeError`]; the shape is checked first.
    pub fn from_alpha3(text: &str) -> Result<Self, CodeError> {
        check_letters(text, 3)?;
        Self::all().find(|country| country.alpha3.eq_ignore_ascii_case(text)).ok_or(CodeError::Unknown)
    }

    /// Returns all countries in the order of their two-letter codes.
    pub fn all() -> impl Iterator<Item = Self> {
        COUNTRIES.iter().filter_map(|row| row.split_once(' ')).map(|(alpha2, alpha3)| Self { alpha2, alpha3 })
    }

    /// Returns the two-letter code.
    #[must_use]
    pub fn alpha2(self) -> &'static str {
        self.alpha2
    }

    /// Returns the three-letter code.
    #[must_use]
    pub fn alpha3(self) -> &'static str {
        self.alpha3
    }
}

fn check_letters(text: &str, count: usize) -> Result<(), CodeError> {
    let fits = text.len() == count && text.bytes().all(|byte| byte.is_ascii_alphabetic());
    if fits { Ok(()) } else { Err(CodeError::Shape(count)) }
}

#[rustfmt::skip]
const STATES: [(&str, &str); 62] = [
    ("AL", "Alabama"), ("AK", "Alaska"), ("AZ", "Arizona"), ("AR", "Arkansas"), ("CA", "California"),
    ("CO", "Colorado"), ("CT", "Connecticut"), ("DE", "Delaware"), ("FL", "Florida"), ("GA", "Georgia"),
    ("HI", "Hawaii"), ("ID", "Idaho"), ("IL", "Illinois"), ("IN", "Indiana"), ("IA", "Iowa"), ("KS", "Kansas"),
    ("KY", "Kentucky"), ("LA", "Louisiana"), ("ME", "Maine"), ("MD", "Maryland"), ("MA", "Massachusetts"),
    ("MI", "Michigan"), ("MN", "Minnesota"), ("MS", "Mississippi"), ("MO", "Missouri"), ("MT", "Montana"),
    ("NE", "Nebraska"), ("NV", "Nevada"), ("NH", "New Hampshire"), ("NJ", "New Jersey"), ("NM", "New Mexico"),
    ("NY", "New York"), ("NC", "North Carolina"), ("ND", "North Dakota"), ("OH", "Ohio"), ("OK", "Oklahoma"),
    ("OR", "Oregon"), ("PA", "Pennsylvania"), ("RI", "Rhode Island"), ("SC", "South Carolina"),
    ("SD", "South Dakota"), ("TN", "Tennessee"), ("TX", "Texas"), ("UT", "Utah"), ("VT", "Vermont"),
    ("VA", "Virginia"), ("WA", "Washington"), ("WV", "West Virginia"), ("WI", "Wisconsin"), ("WY", "Wyoming"),
    ("DC", "District of Columbia"), ("PR", "Puerto Rico"), ("VI", "U.S. Virgin Islands"), ("GU", "Guam"),
    ("AS", "American Samoa"), ("MP", "Northern Mariana Islands"), ("AA", "Armed Forces Americas"),
    ("AE", "Armed Forces Europe"), ("AP", "Armed Forces Pacific"), ("PW", "Palau"),
    ("FM", "Federated States of Micronesia"), ("MH", "Marshall Islands"),
];

/// Alpha-2 and alpha-3 codes of each country.
#[rustfmt::skip]
const COUNTRIES: [&str; 249] = [
    "AD AND", "AE ARE", "AF AFG", "AG ATG", "AI AIA", "AL ALB", "AM ARM", "AO AGO", "AQ ATA", "AR ARG", "AS ASM",
    "AT AUT", "AU AUS", "AW ABW", "AX ALA", "AZ AZE", "BA BIH", "BB BRB", "BD BGD", "BE BEL", "BF BFA", "BG BGR",
    "BH BHR", "BI BDI", "BJ BEN", "BL BLM", "BM BMU", "BN BRN", "BO BOL", "BQ BES", "BR BRA", "BS BHS", "BT BTN",
    "BV BVT", "BW BWA", "BY BLR", "BZ BLZ", "CA CAN", "CC CCK", "CD COD", "CF CAF", "CG COG", "CH CHE", "CI CIV",
    "CK COK", "CL CHL", "CM CMR", "CN CHN", "CO COL", "CR CRI", "CU CUB", "CV CPV", "CW CUW", "CX CXR", "CY CYP",
    "CZ CZE", "DE DEU", "DJ DJI", "DK DNK", "DM DMA", "DO DOM", "DZ DZA", "EC ECU", "EE EST", "EG EGY", "EH ESH",
    "ER ERI", "ES ESP", "ET ETH", "FI FIN", "FJ FJI", "FK FLK", "FM FSM", "FO FRO", "FR FRA", "GA GAB", "GB GBR",
    "GD GRD", "GE GEO", "GF GUF", "GG GGY", "GH GHA", "GI GIB", "GL GRL", "GM GMB", "GN GIN", "GP GLP", "GQ GNQ",
    "GR GRC", "GS SGS", "GT GTM", "GU GUM", "GW GNB", "GY GUY", "HK HKG", "HM HMD", "HN HND", "HR HRV", "HT HTI",
    "HU HUN", "ID IDN", "IE IRL", "IL ISR", "IM IMN", "IN IND", "IO IOT", "IQ IRQ", "IR IRN", "IS ISL", "IT ITA",
    "JE JEY", "JM JAM", "JO JOR", "JP JPN", "KE KEN", "KG KGZ", "KH KHM", "KI KIR", "KM COM", "KN KNA", "KP PRK",
    "KR KOR", "KW KWT", "KY CYM", "KZ KAZ", "LA LAO", "LB LBN", "LC LCA", "LI LIE", "LK LKA", "LR LBR", "LS LSO",
    "LT LTU", "LU LUX", "LV LVA", "LY LBY", "MA MAR", "MC MCO", "MD MDA", "ME MNE", "MF MAF", "MG MDG", "MH MHL",
    "MK MKD", "ML MLI", "MM MMR", "MN MNG", "MO MAC", "MP MNP", "MQ MTQ", "MR MRT", "MS MSR", "MT MLT", "MU MUS",
    "MV MDV", "MW MWI", "MX MEX", "MY MYS", "MZ MOZ", "NA NAM", "NC NCL", "NE NER", "NF NFK", "NG NGA", "NI NIC",
    "NL NLD", "NO NOR", "NP NPL", "NR NRU", "NU NIU", "NZ NZL", "OM OMN", "PA PAN", "PE PER", "PF PYF", "PG PNG",
    "PH PHL", "PK PAK", "PL POL", "PM SPM", "PN PCN", "PR PRI", "PS PSE", "PT PRT", "PW PLW", "PY PRY", "QA QAT",
    "RE REU", "RO ROU", "RS SRB", "RU RUS", "RW RWA", "SA SAU", "SB SLB", "SC SYC", "SD SDN", "SE SWE", "SG SGP",
    "SH SHN", "SI SVN", "SJ SJM", "SK SVK", "SL SLE", "SM SMR", "SN SEN", "SO SOM", "SR SUR", "SS SSD", "ST STP",
    "SV SLV", "SX SXM", "SY SYR", "SZ SWZ", "TC TCA", "TD TCD", "TF ATF", "TG TGO", "TH THA", "TJ TJK", "TK TKL",
    "TL TLS", "TM TKM", "TN TUN", "TO TON", "TR TUR", "TT TTO", "TV TUV", "TW TWN", "TZ TZA", "UA UKR", "UG UGA",
    "UM UMI", "US USA", "UY URY", "UZ UZB", "VA VAT", "VC VCT", "VE VEN", "VG VGB", "VI VIR", "VN VNM", "VU VUT",
    "WF WLF", "WS WSM", "YE YEM", "YT MYT", "ZA ZAF", "ZM ZMB", "ZW ZWE",
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_lists_are_complete_and_every_code_parses() {
        assert_eq!((UsState::all().count(), Country::all().count()), (50 + 6 + 3 + 3, 249));
        assert!(UsState::all().all(|state| UsState::parse(state.code()) == Ok(state)));
        assert!(Country::all().all(|country| Country::from_alpha2(country.alpha2()) == Ok(country)));
        assert!(Country::all().all(|country| Country::from_alpha3(country.alpha3()) == Ok(country)));
        assert_eq!(UsState::all().map(UsState::name).collect::<HashSet<_>>().len(), 62);
        assert!(COUNTRIES.is_sorted());
    }

    #[test]
    fn codes_are_parsed_in_either_case() {
        assert_eq!(UsState::parse("ca").map(UsState::name), Ok("California"));
        assert_eq!(Country::from_alpha2("us").map(Country::alpha3), Ok("USA"));
        assert_eq!(Country::from_alpha3("Gbr").map(Country::alpha2), Ok("GB"));
        for post in ["DC", "PR", "VI", "GU", "AS", "MP", "AA", "AE", "AP", "PW", "FM", "MH"] {
            assert_eq!(UsState::parse(post).map(UsState::code), Ok(post));
        }
    }

    #[test]
    fn other_codes_are_refused_with_their_reason() {
        for text in ["", "C", "CAL", "C1", " CA", "é"] {
            assert_eq!(UsState::parse(text), Err(CodeError::Shape(2)), "{text}");
        }
        for text in ["ZZ", "XX", "UK"] {
            assert_eq!(UsState::parse(text), Err(CodeError::Unknown), "{text}");
        }
        assert_eq!(Country::from_alpha2("USA"), Err(CodeError::Shape(2)));
        assert_eq!(Country::from_alpha3("US"), Err(CodeError::Shape(3)));
        assert_eq!(Country::from_alpha2("UK"), Err(CodeError::Unknown));
        assert_eq!(Country::from_alpha2("XK"), Err(CodeError::Unknown));
        assert_eq!(Country::from_alpha3("ZZZ"), Err(CodeError::Unknown));
    }
}
