//! Answers in a financial profile, stored as the texts of the documented REST API.

use async_graphql::Enum;
use domain::accounts::options;
use macros::Leaf;

macro_rules! options {
    ($($(#[$doc:meta])* $name:ident { $($(#[$value_doc:meta])* $value:ident = $text:literal,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Leaf)]
            pub enum $name { $($(#[$value_doc])* $value,)* }

            impl $name {
                pub fn text(self) -> String {
                    match self { $(Self::$value => $text,)* }.to_owned()
                }

                /// Returns the value of a stored answer, which may be written in any case and spacing.
                pub fn parse(answer: &str) -> Option<Self> {
                    [$((Self::$value, $text),)*]
                        .into_iter()
                        .find(|(_, text)| options::normalized(text) == options::normalized(answer))
                        .map(|(value, _)| value)
                }
            }
        )*
    };
}

options! {
    /// Marital status.
    MaritalStatus {
        /// Never married.
        Single = "single",
        /// Divorced.
        Divorced = "divorced",
        /// Married.
        Married = "married",
        /// Widowed.
        Widowed = "widowed",
    }
    /// Employment status.
    EmploymentStatus {
        /// Employed or self-employed.
        Employed = "employed / self-employed",
        /// Retired.
        Retired = "retired",
        /// Student.
        Student = "student",
        /// Not employed.
        NotEmployed = "not employed",
    }
    /// Range of annual income or total net worth, in US dollars.
    WealthBand {
        /// Less than 25,000.
        Under25K = "$0 - $24,999",
        /// From 25,000 to 99,999.
        From25KTo100K = "$25,000 - $99,999",
        /// From 100,000 to 199,999.
        From100KTo200K = "$100,000 - $199,999",
        /// 200,000 or more.
        Over200K = "$200,000+",
    }
    /// Range of liquid net worth, in US dollars.
    LiquidWealthBand {
        /// Less than 5,000.
        Under5K = "$0 - $4,999",
        /// From 5,000 to 99,999.
        From5KTo100K = "$5,000 - $99,999",
        /// From 25,000 to 99,999: a narrower range that the REST API also accepts. New clients should send
        /// `FROM_5K_TO_100K`.
        From25KTo100K = "$25,000 - $99,999",
        /// From 100,000 to 199,999.
        From100KTo200K = "$100,000 - $199,999",
        /// 200,000 or more.
        Over200K = "$200,000+",
    }
    /// Investment objective.
    InvestmentObjective {
        /// Capital preservation.
        CapitalPreservation = "capital preservation",
        /// Growth.
        Growth = "growth",
        /// Income.
        Income = "income",
        /// Speculation.
        Speculation = "speculation",
    }
    /// Investment experience.
    InvestmentExperience {
        /// No experience.
        None = "none",
        /// Limited experience.
        Limited = "limited",
        /// Good experience.
        Good = "good",
        /// Extensive experience.
        Extensive = "extensive",
    }
    /// Risk tolerance.
    RiskTolerance {
        /// Low risk tolerance.
        Conservative = "conservative",
        /// Medium risk tolerance.
        Moderate = "moderate",
        /// High risk tolerance.
        Aggressive = "aggressive",
    }
}
