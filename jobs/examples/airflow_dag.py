"""An Airflow DAG that submits the nightly jobs; the data interval's end is the bank day."""

from datetime import datetime

from airflow import DAG
from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator

STEPS = ("ingest", "build_features", "build_network", "train", "score", "decide", "build_report")

with DAG("strata_nightly", start_date=datetime(2026, 1, 1), schedule="0 2 * * *", catchup=False) as dag:
    previous = None
    for step in STEPS:
        task = SparkSubmitOperator(
            task_id=step,
            application=f"/opt/strata/jobs/{step}.py",
            py_files="/opt/strata/strata-0.1.0-py3-none-any.whl",
            jars="/opt/strata/jars/graphframes.jar",
            packages="io.delta:delta-spark_2.12:3.3.2",
            properties_file="/opt/strata/conf/spark.properties",
            application_args=["--env", "prod", "--bank", "/opt/bank", "--as-of", "{{ data_interval_end | ds }}"],
        )
        if previous:
            previous >> task
        previous = task
