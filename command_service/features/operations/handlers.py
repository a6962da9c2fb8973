"""From what an operator asks to its answer."""

from command_service.features.operations.commands import Operate
from command_service.features.operations.domain import evolve, operate
from command_service.infrastructure.aggregate import Aggregate
from command_service.infrastructure.answer import Answer
from command_service.infrastructure.call import Call
from command_service.infrastructure.execution import Execution
from shared_kernel.errors import NotFound
from shared_kernel.events.operations import CATEGORY, PROJECTIONS

OPERATIONS = Aggregate(CATEGORY, evolve)


class OperationHandlers:
    """Writes down what operators ask; the projector hears of it and carries it out."""

    def __init__(self, execution: Execution) -> None:
        self._execution = execution

    async def operate(self, command: Operate, call: Call) -> Answer:
        """Raises NotFound for a read model that there is not."""
        if command.projection not in PROJECTIONS:
            raise NotFound
        return await self._execution.run(OPERATIONS.record(command.projection, operate, command), call)
