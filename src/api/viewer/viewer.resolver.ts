import { Ctx, FieldResolver, ID, Query, Resolver, Root } from "type-graphql";
import type { ApiKey, Project } from "../../domain/tenant.js";
import type { Context } from "../context.js";
import { globalId, idWords } from "../ids.js";
import { ServiceAccountType, ViewerType } from "./actor.type.js";

@Resolver(() => ViewerType)
export class ViewerResolver {
  @Query(() => ViewerType, { description: "Whoever is asking." })
  viewer(): object {
    return {};
  }

  @FieldResolver()
  async actor(@Ctx() { caller, reads }: Context): Promise<object | null> {
    const key = await reads.key(caller.keyId);
    return key === null ? null : { ...key, __typename: "ServiceAccount" };
  }

  @FieldResolver()
  project(@Ctx() { caller, reads }: Context): Promise<Project | null> {
    return reads.project(caller.projectId);
  }
}

@Resolver(() => ServiceAccountType)
export class ServiceAccountResolver {
  @FieldResolver(() => ID, idWords)
  id(@Root() key: ApiKey): string {
    return globalId("ServiceAccount", key.id);
  }

  @FieldResolver(() => String, { description: "The key's name." })
  displayName(@Root() key: ApiKey): string {
    return key.name;
  }

  @FieldResolver()
  project(@Root() key: ApiKey, @Ctx() { reads }: Context): Promise<Project | null> {
    return reads.project(key.projectId);
  }
}
