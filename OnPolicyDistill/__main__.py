"""`python -m OnPolicyDistill` is the opd command."""

from OnPolicyDistill.cli.app import main

if __name__ == "__main__":
    main()
