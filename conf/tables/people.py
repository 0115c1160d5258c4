"""Silver: who people are, where they work, what the state's files say of them, what they allow."""

from __future__ import annotations

from strata.conf.contracts import Personal, col, rule
from strata.conf.tables.shapes import listed, money, optional, person, silver, token

OWNERSHIP = ("civil_service", "public_institution", "state_owned", "listed", "joint_stock", "private")
EDUCATION = ("primary", "secondary", "college", "bachelor", "master")
CHANNELS = ("app", "sms", "wechat", "branch_visit", "home_visit", "phone")
PURPOSES = ("marketing", "credit_assessment", "data_sharing")
TIES = ("guarantee", "family", "referral")

employer = silver(
    "employer",
    "one row an employer and period",
    "Employers with what decides the access class (12 类准入); periods are [valid_from, valid_to).",
    ("employer_id", "valid_from", "known_ts"),
    [
        col("employer_id", "bigint", "the employer"),
        col("ownership", "string", ", ".join(OWNERSHIP)),
        col("level", "int", "1 (national) to 4 (county or small)"),
        col("industry", "string", "branch of industry"),
        col("headcount", "int", "staff", unit="people"),
        col("is_specialised_sme", "boolean", "specialised and innovative SME (专精特新)"),
        col("valid_from", "date", "first day of the period"),
        optional("valid_to", "date", "first day after the period; null while it lasts"),
    ],
    [listed("ownership", *OWNERSHIP), rule("level BETWEEN 1 AND 4", "level is not 1 to 4")],
)
education_record = silver(
    "education_record",
    "one row a record",
    "Degrees as the ministry's register (学信网) confirms them.",
    ("record_id", "known_ts"),
    [
        col("record_id", "bigint", "the record"),
        person(),
        col("level", "string", ", ".join(EDUCATION)),
        col("institution_tier", "int", "1 (985/211) to 4 (other)"),
        col("graduated_on", "date", "day of graduation"),
    ],
    [listed("level", *EDUCATION)],
)
public_security_check = silver(
    "public_security_check",
    "one row a check",
    "Answers of the public-security network to an identity check (公安联网核查).",
    ("check_id", "known_ts"),
    [
        col("check_id", "bigint", "the check"),
        person(),
        col("id_match", "boolean", "name and number belong together"),
        col("photo_match", "double", "likeness of the photo", unit="0 to 1"),
        col("address_match", "boolean", "registered address is the declared one"),
        optional("risk_flag", "string", "lost_id, wanted, deceased; null for none"),
    ],
    [rule("photo_match BETWEEN 0 AND 1", "likeness is not 0 to 1")],
)
_CONTRIBUTION = [
    person(),
    col("month", "date", "first day of the month paid for"),
    money("base", "declared monthly wage that the contribution is reckoned from"),
    money("amount", "contribution of both sides"),
    col("status", "string", "paid, late or stopped"),
    optional("employer_id", "bigint", "who pays; null for the self-employed"),
]
_CONTRIBUTION_RULES = [
    listed("status", "paid", "late", "stopped"),
    rule("base >= 0 AND amount >= 0", "negative base or amount"),
]
social_insurance = silver(
    "social_insurance",
    "one row a customer and contribution month",
    "Social insurance (社保): the file comes weeks after the month.",
    ("customer_id", "month", "known_ts"),
    _CONTRIBUTION,
    _CONTRIBUTION_RULES,
)
housing_fund = silver(
    "housing_fund",
    "one row a customer and contribution month",
    "Housing provident fund (公积金): the file comes weeks after the month.",
    ("customer_id", "month", "known_ts"),
    _CONTRIBUTION,
    _CONTRIBUTION_RULES,
)
business_profile = silver(
    "business_profile",
    "one row a business and period",
    "Sole traders and owners of small firms among the customers.",
    ("business_id", "valid_from", "known_ts"),
    [
        col("business_id", "bigint", "the business"),
        person(description="its owner"),
        col("industry", "string", "branch of industry"),
        col("staff", "int", "people employed"),
        col("registered_on", "date", "day of registration"),
        col("is_specialised_sme", "boolean", "specialised and innovative SME (专精特新)"),
        col("valid_from", "date", "first day of the period"),
        optional("valid_to", "date", "first day after the period; null while it lasts"),
    ],
    [rule("staff >= 0", "negative staff")],
)
business_sales = silver(
    "business_sales",
    "one row a business and month",
    "What a business sold and bought, from invoices and tax files.",
    ("business_id", "month", "known_ts"),
    [
        col("business_id", "bigint", "the business"),
        col("month", "date", "first day of the month"),
        money("sales_amount", "sales"),
        money("purchase_amount", "purchases"),
        money("tax_paid", "tax paid"),
        col("invoice_count", "int", "invoices issued"),
    ],
    [rule("sales_amount >= 0 AND purchase_amount >= 0", "negative sales or purchases")],
)
consent = silver(
    "consent",
    "one row a customer, channel, purpose and period",
    "What a customer allows; periods are [valid_from, valid_to).",
    ("customer_id", "channel", "purpose", "valid_from", "known_ts"),
    [
        person(),
        col("channel", "string", ", ".join(CHANNELS)),
        col("purpose", "string", ", ".join(PURPOSES)),
        col("granted", "boolean", "whether it is allowed"),
        col("valid_from", "timestamp", "when it began"),
        optional("valid_to", "timestamp", "when it ended; null while it lasts"),
    ],
    [listed("channel", *CHANNELS), listed("purpose", *PURPOSES)],
)
declared_tie = silver(
    "declared_tie",
    "one row a tie and period",
    "Ties that people declare or sign: guarantees (guarantor to borrower), family, referrals (who brought whom).",
    ("tie_id", "known_ts"),
    [
        col("tie_id", "bigint", "the tie"),
        person("src_customer_id", "guarantor, relative or who referred"),
        person("dst_customer_id", "borrower, relative or who was referred"),
        col("kind", "string", ", ".join(TIES)),
        optional("loan_id", "bigint", "the loan guaranteed"),
        money("amount", "amount guaranteed", nullable=True),
        col("valid_from", "date", "first day"),
        optional("valid_to", "date", "first day after; null while it lasts"),
    ],
    [listed("kind", *TIES), rule("src_customer_id <> dst_customer_id", "a tie to oneself")],
)
blacklist = silver(
    "blacklist",
    "one row a listing",
    "Persons, phones, devices, employers and addresses that the industry shares as bad (黑名单).",
    ("listing_id", "known_ts"),
    [
        col("listing_id", "bigint", "the listing"),
        token("subject_hash", "ID number, phone, device, employer or address"),
        col("subject_type", "string", "person, phone, device, employer, address"),
        col("reason", "string", "fraud, default, court, cash_out"),
        col("listed_on", "date", "day of the listing"),
        optional("removed_on", "date", "day of removal; null while listed"),
    ],
    [
        listed("subject_type", "person", "phone", "device", "employer", "address"),
        listed("reason", "fraud", "default", "court", "cash_out"),
    ],
)
device = silver(
    "device",
    "one row a device, customer and period",
    "Devices that customers sign in from.",
    ("device_hash", "customer_id", "valid_from", "known_ts"),
    [
        token("device_hash", "the device's serial number"),
        person(),
        col("brand", "string", "brand"),
        col("model", "string", "model"),
        col("price_tier", "int", "1 (cheap) to 4 (dear)"),
        col("os", "string", "android, ios, harmony"),
        col("is_rooted", "boolean", "whether its protection is broken"),
        col("is_emulator", "boolean", "whether it is a program and no device"),
        col("sim_count", "int", "SIM cards"),
        col("valid_from", "date", "first day seen"),
        optional("valid_to", "date", "first day no longer used; null while used"),
    ],
    [listed("os", "android", "ios", "harmony")],
)
address_use = silver(
    "address_use",
    "one row a customer, address, kind and period",
    "Addresses by what they are used for.",
    ("customer_id", "kind", "address_hash", "valid_from", "known_ts"),
    [
        person(),
        col("kind", "string", "home, work, shipping, bill"),
        token("address_hash", "the address's text"),
        col("district_id", "int", "its district"),
        col("lat", "double", "latitude, coarsened", unit="degrees", personal=Personal.QUASI),
        col("lon", "double", "longitude, coarsened", unit="degrees", personal=Personal.QUASI),
        col("valid_from", "date", "first day"),
        optional("valid_to", "date", "first day after; null while used"),
    ],
    [listed("kind", "home", "work", "shipping", "bill")],
)
