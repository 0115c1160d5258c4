"""Strata's packaging: every top-level code folder is one portion of the namespace ``strata``."""

from setuptools import find_packages, setup

ROOMS = ("conf", "features", "graph", "models", "jobs")

packages = [f"strata.{room}" for room in ROOMS]
packages += [f"strata.{room}.{package}" for room in ROOMS for package in find_packages(room)]

setup(
    name="strata",
    version="0.1.0",
    description="Distributed feature store, relationship network, scorecards and decisions for a retail bank",
    license="Apache-2.0",
    python_requires=">=3.11,<3.12",
    packages=packages,
    package_dir={f"strata.{room}": room for room in ROOMS},
    package_data={
        "strata.conf": ["*.yml", "*.properties"],
        "strata.conf.banks": ["*/*.yml", "*/*.py", "*/feeds/*.yml", "*/data/*"],
        "strata.jobs.reports": ["templates/*"],
    },
    install_requires=[
        "pyspark>=3.5.9,<3.6",
        "delta-spark>=3.3.2,<3.4",
        "graphframes-py>=0.10.1,<0.11",
        "mlflow>=3.17,<4",
        "numpy>=2,<3",
        "pandas>=2.3,<3",
        "pyarrow>=18",
        "scipy>=1.14",
        "scikit-learn>=1.7",
        "xgboost-cpu>=3.2,<4",
        "pydantic>=2.10,<3",
        "PyYAML>=6",
        "matplotlib>=3.9",
        "Jinja2>=3.1",
    ],
    entry_points={"console_scripts": ["strata = strata.jobs.cli:main"]},
)
