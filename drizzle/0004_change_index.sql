DROP INDEX "tasks_by_change";--> statement-breakpoint
CREATE INDEX "tasks_by_change" ON "tasks" USING btree ("user_id","change","id") WHERE "tasks"."change" > 0;