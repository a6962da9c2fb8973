"""All rules by name; each has a folder in `violations/` that breaks it."""

from pathlib import Path

from tests.architecture.rules import (
    configuration,
    documents,
    features,
    probing,
    purity,
    shape,
    statements,
    suppressions,
)
from tests.architecture.rules.contracts import contract, contract_ids
from tests.architecture.rules.finding import Rule

PROJECT = Path(__file__).resolve().parents[3]

RULES: dict[str, Rule] = {
    "module-size": shape.module_size,
    "function-size": shape.function_size,
    "complexity": shape.complexity,
    "telling-names": shape.telling_names,
    "module-docstring": shape.module_docstring,
    "pure-rules": purity.pure_rules,
    "feature-mirror": features.feature_mirror,
    "sql-home": statements.sql_home,
    "named-columns": statements.named_columns,
    "named-constraints": statements.named_constraints,
    "reasoned-suppressions": suppressions.reasoned_suppressions,
    "no-cover-budget": suppressions.no_cover_budget,
    "quiet-import": probing.quiet_import,
    "route-permission": probing.route_permission,
    "event-compatibility": probing.event_compatibility,
    "links-resolve": documents.links_resolve,
    "decisions-guarded": documents.decisions_guarded,
    "commands-exist": documents.commands_exist,
    "strict-configuration": configuration.strict_configuration,
    **{name: contract(name) for name in contract_ids(PROJECT)},
}
