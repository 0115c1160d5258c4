"""What every job needs: session, tables, ledger, tracking, logs, exits and progress."""
