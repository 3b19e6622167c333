import { Arg, Args, Ctx, FieldResolver, ID, Query, Resolver, Root } from "type-graphql";
import type { Project } from "../../domain/tenant.js";
import { type Connection, PageArgs } from "../connection.js";
import type { Context } from "../context.js";
import { pageOfExperiments } from "../experiment/experiment.resolver.js";
import { ExperimentConnection } from "../experiment/experiment.type.js";
import { globalId, idArgument, idWords, keyIn } from "../ids.js";
import { ProjectType } from "./project.type.js";
import type { QuotaType } from "./quota.type.js";

@Resolver(() => ProjectType)
export class ProjectResolver {
  @Query(() => ProjectType, {
    nullable: true,
    description: "The project with this id; null when none is visible to the key.",
  })
  project(@Arg("id", () => ID, idArgument) id: string, @Ctx() { reads }: Context): Promise<Project | null> | null {
    const key = keyIn(id, "Project");
    return key === null ? null : reads.project(key);
  }

  @FieldResolver(() => ID, idWords)
  id(@Root() project: Project): string {
    return globalId("Project", project.id);
  }

  @FieldResolver()
  async quota(@Root() _project: Project, @Ctx() { reads }: Context): Promise<QuotaType> {
    const standing = await reads.standing();
    const { queuedMax, waiting, runningMax, running, secondsMax, secondsUsed, secondsReserved, resetsAt } = standing;
    return {
      fairShareWeight: standing.weight,
      queuedRuns: { limit: queuedMax, used: waiting },
      concurrentRuns: { limit: runningMax, used: running },
      computeSeconds: { limit: secondsMax, used: secondsUsed, reserved: secondsReserved, resetsAt },
      submitsPerMinute: standing.submitsPerMinute,
    };
  }

  @FieldResolver(() => ExperimentConnection, { description: "Its experiments, the newest first." })
  experiments(
    @Root() project: Project,
    @Args(() => PageArgs) args: PageArgs,
    @Ctx() context: Context,
  ): Promise<Connection<object>> {
    return pageOfExperiments(project.id, args, context);
  }
}
