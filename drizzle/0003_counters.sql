CREATE UNLOGGED TABLE "counters" (
	"key" text PRIMARY KEY NOT NULL,
	"count" bigint NOT NULL,
	"resets_at" timestamp with time zone NOT NULL
) WITH (fillfactor = 50);
--> statement-breakpoint
CREATE INDEX "counters_by_resets_at" ON "counters" USING btree ("resets_at");