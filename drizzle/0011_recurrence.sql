ALTER TABLE "tasks" ADD COLUMN IF NOT EXISTS "recurrence" jsonb;--> statement-breakpoint
ALTER TABLE "tasks" ADD COLUMN IF NOT EXISTS "series_id" uuid;--> statement-breakpoint
ALTER TABLE "tasks" ADD COLUMN IF NOT EXISTS "predecessor_id" uuid;--> statement-breakpoint
ALTER TABLE "tasks" ADD COLUMN IF NOT EXISTS "series_start" jsonb;--> statement-breakpoint
CREATE UNIQUE INDEX IF NOT EXISTS "tasks_by_predecessor" ON "tasks" USING btree ("user_id","predecessor_id") WHERE "tasks"."predecessor_id" is not null;--> statement-breakpoint
ALTER TABLE "tasks" ADD CONSTRAINT "tasks_recurrence_due" CHECK ("recurrence" is null or "due_at" is not null or "due_on" is not null) NOT VALID;
