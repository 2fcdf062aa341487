"""The chaos suite's own judgement: an auditor that sees nothing would pass everything."""
