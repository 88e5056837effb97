UPDATE "users" SET "email" = left("email", -1) WHERE "email" LIKE '%.'
  AND NOT EXISTS (SELECT FROM "users" AS "other" WHERE "other"."email" = left("users"."email", -1));--> statement-breakpoint
ALTER TABLE "identities" ALTER CONSTRAINT "identities_user_id_users_id_fk" DEFERRABLE INITIALLY DEFERRED;
