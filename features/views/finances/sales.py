"""Sales (经营销售): what the firms of a customer sell, buy and pay in tax."""

from __future__ import annotations

from strata.features.definitions.items import derived, windowed
from strata.features.definitions.links import Link
from strata.features.views.common import customer_events, pace, share

OWNER_OF_BUSINESS = Link("business_profile", (("business_id", "business_id"),), ("customer_id",))

sales = customer_events(
    "sales",
    "business_sales",
    ("business_id", "month", "customer_id"),
    "Months of a customer's firms, from invoices and tax files.",
    windowed("sales_amount", label="sold", aggs=("sum", "mean"), days=(92, 184, 365), unit="amt"),
    windowed("sales_amount", label="sold", aggs=("std", "min", "last"), days=(365,), unit="amt"),
    windowed("purchase_amount", label="purchased", aggs=("sum",), days=(92, 365), unit="amt"),
    windowed("tax_paid", label="tax", aggs=("sum",), days=(92, 365), unit="amt"),
    windowed("invoice_count", label="invoices", aggs=("sum", "mean"), days=(92, 365), unit="num"),
    windowed("month", label="months", aggs=("distinct",), days=(365,)),
    derived("variation_365d", "sales_sold_std_365d_amt / nullif(sales_sold_mean_365d_amt, 0)", unit="ratio",
            description="deviation of monthly sales as a share of their mean"),
    derived("margin_365d", "(sales_sold_sum_365d_amt - sales_purchased_sum_365d_amt) / "
            "nullif(sales_sold_sum_365d_amt, 0)", unit="ratio", description="sales less purchases, of sales"),
    share("tax_share_365d", "sales_tax_sum_365d_amt", "sales_sold_sum_365d_amt", "tax, of sales"),
    pace("pace_92d", "sales_sold_mean_92d_amt", "sales_sold_mean_365d_amt", 1,
         "three months against the year; 1 is steady"),
    links=(OWNER_OF_BUSINESS,),
)  # fmt: skip
